// Package reaper starts processes and collects every child that ends, as PID 1 of a PID
// namespace must: its own, and the orphans that the kernel hands it.
//
// A process that waits for any child takes the end of those that os/exec waits for. So nothing here
// is waited for in any other way: the Reaper alone asks the kernel, and tells who has started
// the process.
package reaper

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// A Reaper collects the children of this process. There is one at most in a process, and
// nothing else may wait for children while it runs.
type Reaper struct {
	// starting is held for reading while a process is started, for writing while ended ones are
	// collected: no process can end unknown between its start and its entry in children.
	starting sync.RWMutex
	mu       sync.Mutex
	children map[int]*Process
}

// A Process is a child.
type Process struct {
	pid    int
	handle *os.Process
	ended  chan struct{}
	exited wire.Exited // valid once ended is closed
}

// New starts to collect, for as long as this process lives.
func New() *Reaper {
	// The first use of os.Process tries out pidfds on a child that it waits for itself
	// (os/pidfd_linux.go): let it do so while nobody takes that child away.
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Release()
	}
	r := &Reaper{
		children: map[int]*Process{},
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGCHLD)
	go func() {
		r.collect() // of before Notify
		for range signals {
			r.collect()
		}
	}()
	return r
}

// Start starts argv. Files are standard input, output and error. The process is the leader of
// a session and of a process group of its own. The caller's thread decides its network namespace.
func (r *Reaper) Start(argv, env []string, dir string, files [3]*os.File) (*Process, error) {
	r.starting.RLock()
	defer r.starting.RUnlock()
	handle, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: dir, Env: env, Files: files[:],
		Sys: &unix.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err // names operation and program
	}
	p := &Process{pid: handle.Pid, handle: handle, ended: make(chan struct{})}
	r.mu.Lock()
	r.children[p.pid] = p
	r.mu.Unlock()
	return p, nil
}

// collect takes every child that has ended. One signal may stand for many.
func (r *Reaper) collect() {
	r.starting.Lock()
	defer r.starting.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid == 0 {
			return // no children, or none that has ended
		}
		r.mu.Lock()
		p, known := r.children[pid]
		delete(r.children, pid)
		r.mu.Unlock()
		if !known {
			continue // an orphan
		}
		p.exited = wire.Exited{Code: status.ExitStatus()}
		if status.Signaled() {
			p.exited.Signal = status.Signal()
		}
		// Nobody waits through the handle any more; it refers to the process by pidfd.
		_ = p.handle.Release()
		close(p.ended)
	}
}

// Pid is the number of the process in the PID namespace of the caller.
func (p *Process) Pid() int { return p.pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Exited says how it ended. It blocks until then.
func (p *Process) Exited() wire.Exited {
	<-p.ended
	return p.exited
}

// Signal sends a signal to the process alone. A process that has ended is no error.
func (p *Process) Signal(number unix.Signal) error {
	if err := unix.Kill(p.pid, number); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(number), p.pid, err)
	}
	return nil
}

// SignalGroup sends a signal to the process and all of its group that it has not left. A
// process that has ended is no error.
func (p *Process) SignalGroup(number unix.Signal) error {
	err := unix.Kill(-p.pid, number)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process group %d: %w", unix.SignalName(number), p.pid, err)
	}
	return nil
}
