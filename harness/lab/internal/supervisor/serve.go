package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// listenAbstract takes the lab's name. It fails where a lab of that name is there already.
func listenAbstract(uid int, name string) (net.Listener, error) {
	listener, err := net.Listen("unix", wire.AbstractName(uid, name))
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("lab %s is up already: %w", name, unix.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("take the name of lab %s: %w", name, err)
	}
	return listener, nil
}

// acceptAndClose lets anybody who connects see who is there, which the kernel tells
// (SO_PEERCRED), and nothing else.
func acceptAndClose(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// serve takes requests from now on. Who may send them is for the kernel to decide: to reach
// the socket takes the right to see this process's mount namespace and to write to the file,
// which its user has, and root.
func (s *supervisor) serve(ctx context.Context) error {
	listener, err := net.Listen("unix", wire.SocketPath)
	if err == nil {
		err = os.Chmod(wire.SocketPath, 0o600)
	}
	if err != nil {
		return fmt.Errorf("open the lab's socket: %w", err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				s.log.Error("no more requests are taken", "error", err)
				return
			}
			go s.answer(ctx, conn.(*net.UnixConn))
		}
	}()
	return nil
}

// result is what comes of a request: a value and files, which are closed once sent.
type result struct {
	body  any
	files []*os.File
}

// fileResult is the result of an operation that opens a file.
func fileResult(file *os.File, err error) (result, error) {
	if err != nil {
		return result{}, err
	}
	return result{files: []*os.File{file}}, nil
}

// answer takes one request and answers it.
func (s *supervisor) answer(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	var request wire.Request
	files, err := wire.Receive(conn, &request)
	defer wire.CloseAll(files)
	if err != nil {
		s.log.Warn("request", "error", err)
		return
	}
	if request.Version != wire.Version {
		err := fmt.Errorf("the client speaks version %d of the protocol, lab %s speaks %d", request.Version, s.setup.Name, wire.Version)
		s.send(conn, result{}, err)
		return
	}
	if request.Operation == wire.OperationExec {
		s.exec(conn, request, files)
		return
	}
	done, err := s.handle(ctx, request)
	s.send(conn, done, err)
	if request.Operation == wire.OperationDown {
		s.beginEnd() // not before the answer is on its way
	}
}

// send sends an answer. A client that is gone needs none.
func (s *supervisor) send(conn *net.UnixConn, done result, err error) {
	defer wire.CloseAll(done.files)
	answer := wire.Answer{}
	if err == nil && done.body != nil {
		answer.Body, err = json.Marshal(done.body)
	}
	if err != nil {
		answer.Error = wire.NewError(err)
	}
	_ = wire.Send(conn, answer, done.files...)
}

// handle does what a request asks for.
func (s *supervisor) handle(ctx context.Context, request wire.Request) (result, error) {
	switch request.Operation {
	case wire.OperationStatus:
		return result{body: s.status()}, nil
	case wire.OperationPlan:
		return result{body: s.plan}, nil
	case wire.OperationKey:
		return result{body: s.key[:]}, nil
	case wire.OperationDown:
		return result{}, nil
	case wire.OperationCounters:
		counters, err := s.fabric.Counters()
		return result{body: counters}, err
	case wire.OperationLog:
		return fileResult(s.openLogOf(request.Node, request.Application))
	case wire.OperationSocket:
		if request.Socket == nil {
			return result{}, errors.New("request for a socket that describes none")
		}
		return fileResult(s.socket(request.Node, *request.Socket))
	case wire.OperationFault:
		if request.Fault == nil {
			return result{}, errors.New("request for a fault that names none")
		}
		return result{}, s.fault(ctx, request.Fault.Verb, request.Fault.Args)
	}
	return result{}, fmt.Errorf("no operation %q: %w", request.Operation, unix.EOPNOTSUPP)
}

// openLogOf opens the log of an application, of a stack or a router where application is empty, of the
// supervisor where node is empty too.
func (s *supervisor) openLogOf(name, application string) (*os.File, error) {
	if name == "" {
		return os.Open(wire.LogPath)
	}
	n, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if application == "" {
		if n.router != nil {
			return os.Open(n.router.path(wire.BirdLog))
		}
		if n.stack == nil {
			return nil, fmt.Errorf("node %s is a %s and has no log of its own; name an application: %w", name, n.plan.Kind, unix.ENOENT)
		}
		return os.Open(n.stack.logPath())
	}
	if !filepath.IsLocal(application) {
		return nil, fmt.Errorf("application %q: %w", application, unix.EINVAL)
	}
	file, err := os.Open(n.applicationLog(application))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no application %q has run on node %s: %w", application, name, unix.ENOENT)
	}
	return file, err
}

// status is the state of everything.
func (s *supervisor) status() wire.Status {
	status := wire.Status{
		Name: s.setup.Name, Plex: s.plan.Name, Started: s.born,
		Hub: s.fabric.Hub().ID(), Limits: s.limits, Faults: s.faultStatus(),
	}
	for _, n := range s.order {
		status.Nodes = append(status.Nodes, n.status())
	}
	return status
}

// status is the state of a node.
func (n *node) status() wire.StatusNode {
	status := wire.StatusNode{Name: n.plan.Name, Kind: n.plan.Kind, Namespace: n.namespace.ID()}
	if st := n.stack; st != nil {
		st.mu.Lock()
		status.State, status.Reason, status.Implementation = st.state, st.reason, st.manifest.Name
		if st.process != nil {
			status.Pid = st.process.Pid()
		}
		st.mu.Unlock()
	}
	for _, a := range n.applications {
		a.mu.Lock()
		application := wire.StatusApplication{Name: a.plan.Name, State: a.state, Reason: a.reason}
		if a.state == wire.StateRunning {
			application.Pid = a.process.Pid()
		}
		a.mu.Unlock()
		status.Applications = append(status.Applications, application)
	}
	return status
}
