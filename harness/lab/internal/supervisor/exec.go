package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// exec runs a process for a client. It lives as long as the connection at most: a client
// that goes takes it and its group along. What it leaves in the background when it ends by
// itself stays.
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
				select {
				case <-process.Ended():
				default:
					_ = process.SignalGroup(unix.SIGKILL)
				}
				return
			}
			if err := process.SignalGroup(signal.Number); err != nil {
				s.log.Warn("exec", "node", request.Node, "error", err)
			}
		}
	}()
	exited := process.Exited()
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
		path := filepath.Join(wire.NodePath(n.plan.Name), fmt.Sprintf("exec-%d.log", s.logs.Add(1)))
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
	return process, log, nil
}
