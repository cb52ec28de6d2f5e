package lab

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// Found is a lab on this machine, seen from this network namespace.
type Found struct {
	Name string `json:"name"`
	UID  int    `json:"uid"` // of who has built it
	Pid  int    `json:"pid"` // of its supervisor
}

// List finds the labs of all users, those that are not ready yet too, in the order of their names.
// It takes no privilege.
func List() ([]Found, error) {
	file, err := os.Open("/proc/thread-self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("find labs: %w", err)
	}
	defer file.Close()
	var found []Found
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// Num RefCount Protocol Flags Type St Inode Path; __SO_ACCEPTCON is flag 10000.
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 || fields[3] != "00010000" {
			continue
		}
		uid, name, ok := wire.ParseAbstractName(fields[7])
		if !ok {
			continue
		}
		pid, pidfd, err := identify(uid, name)
		if errors.Is(err, unix.ECONNREFUSED) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		pidfd.Close()
		found = append(found, Found{Name: name, UID: uid, Pid: pid})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("find labs: %w", err)
	}
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return found, nil
}

// identify asks the kernel which process holds a lab's name, and opens that process.
func identify(uid int, name string) (pid int, pidfd *os.File, err error) {
	conn, err := net.Dial("unix", wire.AbstractName(uid, name))
	if err != nil {
		return 0, nil, fmt.Errorf("find lab %s: %w", name, err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, nil, fmt.Errorf("find lab %s: %w", name, err)
	}
	var credentials *unix.Ucred
	var optionErr error
	err = raw.Control(func(descriptor uintptr) {
		credentials, optionErr = unix.GetsockoptUcred(int(descriptor), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, optionErr); err != nil {
		return 0, nil, fmt.Errorf("find lab %s: %w", name, err)
	}
	// Anybody may take such a name, so the kernel's word counts and not the name's.
	if int(credentials.Uid) != uid {
		return 0, nil, fmt.Errorf("lab %s of user %d is held by user %d: %w", name, uid, credentials.Uid, unix.ECONNREFUSED)
	}
	if credentials.Pid == 0 {
		return 0, nil, fmt.Errorf("lab %s was built outside of this PID namespace: %w", name, unix.ECONNREFUSED)
	}
	descriptor, err := unix.PidfdOpen(int(credentials.Pid), unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		err = unix.ECONNREFUSED
	}
	if err != nil {
		return 0, nil, fmt.Errorf("find lab %s: process %d: %w", name, credentials.Pid, err)
	}
	return int(credentials.Pid), os.NewFile(uintptr(descriptor), "pidfd"), nil
}

// Attach finds a lab by name: one's own, or the only one of that name. It takes the user who
// has built it, or root. The lab stays when the caller goes.
func Attach(name string) (*Lab, error) {
	labs, err := List()
	if err != nil {
		return nil, err
	}
	labs = slices.DeleteFunc(labs, func(f Found) bool { return f.Name != name })
	if own := slices.IndexFunc(labs, func(f Found) bool { return f.UID == os.Getuid() }); own >= 0 {
		labs = labs[own : own+1]
	}
	switch len(labs) {
	case 0:
		return nil, fmt.Errorf("no lab %q is up: %w", name, unix.ENOENT)
	case 1:
	default:
		return nil, fmt.Errorf("several users have a lab %q", name)
	}
	return labs[0].Attach()
}

// Attach attaches to the lab that was found. Conditions are those of the function Attach.
func (f Found) Attach() (*Lab, error) {
	pid, pidfd, err := identify(f.UID, f.Name)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("no lab %q is up: %w", f.Name, unix.ENOENT)
	}
	if err != nil {
		return nil, err
	}
	l := &Lab{name: f.Name, pid: pid, lifeline: pidfd, ended: make(chan struct{})}
	if err := l.reachable(); err != nil {
		pidfd.Close()
		return nil, err
	}
	if err := l.watch(pidfd); err != nil {
		pidfd.Close()
		return nil, fmt.Errorf("watch lab %s: %w", f.Name, err)
	}
	return l, nil
}

// watch closes ended when the process of a pidfd ends, until the pidfd is closed.
func (l *Lab) watch(pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	go func() {
		// A pidfd becomes readable when its process ends (pidfd_open(2)), and is never read.
		err := raw.Read(func(descriptor uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
			count, err := unix.Poll(ready, 0)
			return err == nil && count > 0
		})
		if err == nil {
			close(l.ended)
		}
	}()
	return nil
}

// reachable says why requests cannot be sent to a lab.
func (l *Lab) reachable() error {
	err := unix.Access(l.RootPath()+wire.SocketPath, unix.W_OK)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("lab %s is not ready yet: %w", l.name, unix.EAGAIN)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("lab %s belongs to another user: %w", l.name, err)
	case err != nil:
		return fmt.Errorf("reach lab %s: %w", l.name, err)
	}
	return nil
}
