package lab

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/environment"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/topo"
)

// Up builds the lab of a plan and returns when it is ready: every stack sees all others and
// every application runs. It takes CAP_SYS_ADMIN and CAP_NET_ADMIN, or else a kernel that
// lets an ordinary user create user namespaces; what is missing is named by a *RefusedError.
// A mistake in options is an *OptionsError, and a name that is taken matches unix.EADDRINUSE.
// On an error, or when ctx ends before the lab is ready, nothing is left behind.
func Up(ctx context.Context, plan *topo.Plan, options Options) (*Lab, error) {
	options, err := options.check(plan)
	if err != nil {
		return nil, &OptionsError{Err: err}
	}
	s, err := startSupervisor(options)
	if err != nil {
		return nil, err
	}
	// The end of the context closes the socket, and the supervisor ends of itself.
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	err = s.build(plan, options)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.conn.Close()
		<-s.ended
		if ctx.Err() != nil {
			return nil, fmt.Errorf("build lab %s: %w", options.Name, context.Cause(ctx))
		}
		return nil, err
	}
	return &Lab{name: options.Name, pid: s.command.Process.Pid, lifeline: s.conn, ended: s.ended}, nil
}

// starting is a supervisor on its way.
type starting struct {
	command *exec.Cmd
	conn    *net.UnixConn
	ended   chan struct{} // closed when the process has ended and was waited for
	stderr  *lastWords
}

// startSupervisor starts the supervisor's process in its namespaces.
func startSupervisor(options Options) (*starting, error) {
	keepDescriptors()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("build lab %s: %w", options.Name, err)
	}
	defer theirs.Close()
	s := &starting{conn: ours, ended: make(chan struct{}), stderr: &lastWords{}}
	s.command = exec.Command(options.Supervisor[0], options.Supervisor[1:]...)
	s.command.Env = environment.Clean() // whatever runs in the lab inherits it
	s.command.ExtraFiles = []*os.File{theirs}
	s.command.Stderr = s.stderr
	rootless := giveNamespaces(s.command)
	// Not in the terminal's session: the lab ends by its client's end, not by the keyboard.
	s.command.SysProcAttr.Setsid = true
	if err := s.command.Start(); err != nil {
		ours.Close()
		if reason := refusal(err, rootless); reason != "" {
			return nil, &RefusedError{Reason: reason, Err: err}
		}
		return nil, fmt.Errorf("start the supervisor of lab %s: %w", options.Name, err)
	}
	go func() {
		// However it ended, the socket has said so.
		_ = s.command.Wait()
		close(s.ended)
	}()
	return s, nil
}

// build hands the supervisor its plan and follows it until the lab is ready.
func (s *starting) build(plan *topo.Plan, options Options) error {
	err := wire.Send(s.conn, wire.Setup{
		Version: wire.Version, Name: options.Name, Plan: plan,
		Implementation: options.Implementation, Implementations: options.Implementations,
		UID: os.Getuid(), Names: options.Names, Pid: s.command.Process.Pid,
	})
	for err == nil {
		var report wire.Report
		if _, err = wire.Receive(s.conn, &report); err != nil {
			break
		}
		switch {
		case report.Error != nil:
			return fmt.Errorf("build lab %s: %w", options.Name, report.Error)
		case report.Step != nil && options.Progress != nil:
			options.Progress(*report.Step)
		case report.Ready:
			if options.Detach {
				if err := wire.Send(s.conn, wire.Detach{Detach: true}); err != nil {
					return fmt.Errorf("detach from lab %s: %w", options.Name, err)
				}
			}
			return nil
		}
	}
	s.conn.Close()
	<-s.ended
	if words := s.stderr.String(); words != "" {
		return fmt.Errorf("build lab %s: the supervisor ended: %s", options.Name, words)
	}
	return fmt.Errorf("build lab %s: the supervisor ended (%s)", options.Name, s.command.ProcessState)
}

// keepDescriptors keeps to this process what it has inherited: a lab may outlive whoever waits
// for the end of such a pipe. Kernels before 5.11 refuse, and then it goes on into the lab.
func keepDescriptors() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// socketPair makes the socket between client and supervisor.
func socketPair() (*net.UnixConn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("create socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "supervisor"), os.NewFile(uintptr(pair[1]), "client")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("use socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// lastWords keeps the end of what a process writes.
type lastWords struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (w *lastWords) Write(text []byte) (int, error) {
	const most = 8 << 10
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, text...)
	if len(w.kept) > most {
		w.kept = bytes.Clone(w.kept[len(w.kept)-most:])
	}
	return len(text), nil
}

// String is what was kept.
func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.kept))
}
