package sockets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A session answers one application, that is every process that inherited its filter.
type session struct {
	*Broker
	application string
	notify      *os.File
	raw         syscall.RawConn
	callers     callers
}

// newSession owns the descriptor from here on, also where it fails.
func newSession(b *Broker, application string, notify int) (*session, error) {
	// The runtime's poller takes only descriptors that do not block. Receiving does not
	// block either as long as one goroutine alone receives, and only what poll announced.
	if err := errors.Join(unix.SetNonblock(notify, true), wakeOnSameProcessor(notify)); err != nil {
		unix.Close(notify)
		return nil, fmt.Errorf("prepare notifications: %w", err)
	}
	file := os.NewFile(uintptr(notify), "seccomp notifications of "+application)
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("prepare notifications: %w", err)
	}
	return &session{Broker: b, application: application, notify: file, raw: raw}, nil
}

// serve returns when the last process of the application has ended, or ctx.
func (s *session) serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.notify.Close() })
	defer s.notify.Close()
	defer stop()

	var calls sync.WaitGroup
	defer s.callers.close()
	defer calls.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // nobody waits any more for what is under way
	for {
		n, err := s.receive()
		switch {
		case err == nil:
			calls.Go(func() { s.answer(ctx, n) })
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return
		default:
			s.log.Error("application lost: its bind, listen and connect will fail", "application", s.application, "error", err)
			return
		}
	}
}

// receive waits for the next notification; io.EOF: no process is left to send one.
func (s *session) receive() (n notification, err error) {
	waitErr := s.raw.Read(func(fd uintptr) bool {
		for {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err = unix.Poll(ready, 0); err == unix.EINTR {
				continue
			}
			switch {
			case err != nil:
				return true
			case ready[0].Revents&unix.POLLIN != 0:
				if n, err = receiveNotification(fd); err == unix.ENOENT {
					continue // killed before we looked
				}
				return true
			case ready[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
				err = io.EOF
				return true
			default:
				return false
			}
		}
	})
	if waitErr != nil {
		return n, waitErr
	}
	return n, err
}

// answer carries out one call and lets the application go on with its result.
func (s *session) answer(ctx context.Context, n notification) {
	r := response{ID: n.ID}
	switch err := s.perform(ctx, n); {
	case err == nil:
	case errors.Is(err, errConventional):
		r.Flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	default:
		r.Error = -int32(s.errno(n, err))
	}
	var sendErr error
	err := s.raw.Control(func(fd uintptr) { sendErr = sendResponse(fd, r) })
	if err = errors.Join(err, sendErr); err != nil && !errors.Is(err, unix.ENOENT) && ctx.Err() == nil {
		s.log.Error("answer lost", "application", s.application, "thread", n.TID, "error", err)
	}
}

// errno is what the application gets to see of an error.
func (s *session) errno(n notification, err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) && errno != 0 {
		return errno
	}
	s.log.Error("call failed without an errno, answered with EIO", "application", s.application, "thread", n.TID, "error", err)
	return unix.EIO
}
