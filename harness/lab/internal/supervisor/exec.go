package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// execs are the processes that clients have started and hold by their connections.
type execs struct {
	mu      sync.Mutex
	running map[*reaper.Process]bool
	count   int // of logs
}

// exec runs a process for a client. It lives as long as the connection at most: a client
// that goes takes it along.
func (s *supervisor) exec(conn *net.UnixConn, request wire.Request, files []*os.File) {
	process, log, err := s.startExec(request, files)
	wire.CloseAll(files)
	if err != nil {
		s.send(conn, result{}, err)
		return
	}
	started := result{body: wire.Started{Pid: process.Pid()}}
	if log != nil {
		started.files = []*os.File{log}
	}
	s.send(conn, started, nil)
	go func() {
		for {
			var signal wire.Signal
			if _, err := wire.Receive(conn, &signal); err != nil {
				// Nothing of it is left for the client to lose when it has ended before.
				_ = process.SignalGroup(unix.SIGKILL)
				return
			}
			if err := process.SignalGroup(signal.Number); err != nil {
				s.log.Warn("exec", "node", request.Node, "error", err)
			}
		}
	}()
	exited := process.Exited()
	s.execs.forget(process)
	s.send(conn, result{body: exited}, nil)
}

// startExec starts the process. Without files its output goes to a log, which is returned
// open for reading.
func (s *supervisor) startExec(request wire.Request, files []*os.File) (*reaper.Process, *os.File, error) {
	n, err := s.find(request.Node)
	if err != nil {
		return nil, nil, err
	}
	want := request.Exec
	if want == nil || len(want.Argv) == 0 {
		return nil, nil, fmt.Errorf("exec on %s: the command is empty: %w", request.Node, unix.EINVAL)
	}
	argv := want.Argv
	if want.Application != "" {
		if argv, err = n.launched(want.Application, argv); err != nil {
			return nil, nil, err
		}
	}
	var log *os.File
	var process *reaper.Process
	switch len(files) {
	case 3:
		process, err = n.start(argv, want.Env, want.Dir, [3]*os.File(files))
	case 0:
		path := s.execs.logPath(n)
		process, err = n.startLogged(argv, want.Env, want.Dir, path)
		if err == nil {
			log, err = os.Open(path)
		}
		// Whoever holds it open reads on; it is gone when they have closed it.
		err = errors.Join(err, os.Remove(path))
	default:
		err = fmt.Errorf("%d files: expected 3 or none", len(files))
	}
	if err != nil {
		if process != nil {
			_ = process.SignalGroup(unix.SIGKILL)
		}
		return nil, nil, fmt.Errorf("exec on %s: %w", request.Node, err)
	}
	s.execs.remember(process)
	return process, log, nil
}

// logPath is a new path for the output of a process.
func (e *execs) logPath(n *node) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	return filepath.Join(wire.NodePath(n.plan.Name), fmt.Sprintf("exec-%d.log", e.count))
}

// remember adds a process to those that end with the lab.
func (e *execs) remember(process *reaper.Process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		e.running = map[*reaper.Process]bool{}
	}
	e.running[process] = true
}

// forget is the reverse.
func (e *execs) forget(process *reaper.Process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, process)
}

// terminate asks all of them to end.
func (e *execs) terminate() []*reaper.Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	var asked []*reaper.Process
	for process := range e.running {
		if process.SignalGroup(unix.SIGTERM) == nil {
			asked = append(asked, process)
		}
	}
	return asked
}
