package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

// A Lab is a lab that is ready. It is safe for concurrent use.
type Lab struct {
	name string
	pid  int
	// lifeline is what Close closes: the socket that ends a lab which is not detached, or the
	// pidfd that the end of one attached to is noticed by.
	lifeline io.Closer
	// ended is closed when the supervisor has ended, and with it every process of the lab.
	ended chan struct{}
}

// Name is the name of the lab.
func (l *Lab) Name() string { return l.name }

// Pid is the number of the supervisor, as this process sees it.
func (l *Lab) Pid() int { return l.pid }

// Done is closed when the lab has ended, by whatever means: every process of it is gone. The
// kernel takes namespaces and links down shortly after.
func (l *Lab) Done() <-chan struct{} { return l.ended }

// RootPath is the root directory of the lab's mount namespace; RootPath joined with a path
// of the lab is a path for this process.
func (l *Lab) RootPath() string { return fmt.Sprintf("/proc/%d/root", l.pid) }

// PortFile is the path of the plex's port file, for this process.
func (l *Lab) PortFile() string { return path.Join(l.RootPath(), wire.PortFile) }

// Down ends the lab: stacks and applications get SIGTERM and 0.3 seconds. It returns when
// every process is gone. A lab that has ended already is no error.
func (l *Lab) Down(ctx context.Context) error {
	defer l.Close()
	if l.hasEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := l.ask(ctx, wire.Request{Operation: wire.OperationDown}, nil); err != nil && !l.hasEnded() {
		return fmt.Errorf("end lab %s: %w", l.name, err)
	}
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end lab %s: process %d is still there: %w", l.name, l.pid, ctx.Err())
	}
}

// Close gives up this client's hold: a lab that Up has built without Detach ends at once,
// without SIGTERM to anybody; others stay as they are, and Done does not tell of their end any
// more. Closing again is no error.
func (l *Lab) Close() error {
	if err := l.lifeline.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("let go of lab %s: %w", l.name, err)
	}
	return nil
}

// hasEnded reports whether the lab has ended.
func (l *Lab) hasEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Status asks for the state of the lab.
func (l *Lab) Status(ctx context.Context) (*Status, error) {
	status := new(Status)
	return status, l.ask(ctx, wire.Request{Operation: wire.OperationStatus}, status)
}

// Plan asks for the plan that the lab was built from.
func (l *Lab) Plan(ctx context.Context) (*topo.Plan, error) {
	plan := new(topo.Plan)
	return plan, l.ask(ctx, wire.Request{Operation: wire.OperationPlan}, plan)
}

// Key asks for the plex key, which every XCF message is authenticated with: 32 bytes.
func (l *Lab) Key(ctx context.Context) ([]byte, error) {
	var key []byte
	return key, l.ask(ctx, wire.Request{Operation: wire.OperationKey}, &key)
}

// Counters asks for the counters of every link, by node and link.
func (l *Lab) Counters(ctx context.Context) (map[string]map[string]Counters, error) {
	var counters map[string]map[string]Counters
	return counters, l.ask(ctx, wire.Request{Operation: wire.OperationCounters}, &counters)
}

// Control is a client of a stack's control API. The caller closes it.
func (l *Lab) Control(stack string) *control.Client {
	return control.NewUnixClient(path.Join(l.RootPath(), wire.ControlPath(stack)))
}

// ask sends a request and decodes the body of its answer.
func (l *Lab) ask(ctx context.Context, request wire.Request, body any) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer closeAtEnd(ctx, conn)()
	files, err := roundTrip(conn, request, body)
	wire.CloseAll(files)
	return l.because(ctx, err)
}

// askFile is ask for an operation that is answered by one file.
func (l *Lab) askFile(ctx context.Context, request wire.Request) (*os.File, error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer closeAtEnd(ctx, conn)()
	files, err := roundTrip(conn, request, nil)
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%d files came with the answer, want 1", len(files))
	}
	if err != nil {
		wire.CloseAll(files)
		return nil, l.because(ctx, err)
	}
	return files[0], nil
}

// connect connects to the supervisor.
func (l *Lab) connect(ctx context.Context) (*net.UnixConn, error) {
	if l.hasEnded() {
		return nil, fmt.Errorf("lab %s: %w", l.name, ErrGone)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path.Join(l.RootPath(), wire.SocketPath))
	if err != nil {
		return nil, fmt.Errorf("reach lab %s: %w", l.name, err)
	}
	return conn.(*net.UnixConn), nil
}

// because names the reason of an error that follows from the end of the context or the lab.
func (l *Lab) because(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.hasEnded(), errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return fmt.Errorf("lab %s: %w", l.name, ErrGone)
	}
	return err
}

// closeAtEnd closes a connection when the context ends. The result revokes that.
func closeAtEnd(ctx context.Context, conn *net.UnixConn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.Close() })
}

// roundTrip sends a request and receives its answer.
func roundTrip(conn *net.UnixConn, request wire.Request, body any, files ...*os.File) ([]*os.File, error) {
	request.Version = wire.Version
	if err := wire.Send(conn, request, files...); err != nil {
		return nil, err
	}
	return receive(conn, body)
}

// receive receives an answer. An answer that is an error has no files.
func receive(conn *net.UnixConn, body any) ([]*os.File, error) {
	var answer wire.Answer
	files, err := wire.Receive(conn, &answer)
	switch {
	case err != nil:
	case answer.Error != nil:
		err = answer.Error
	case body != nil:
		err = json.Unmarshal(answer.Body, body)
	}
	if err != nil {
		wire.CloseAll(files)
		return nil, err
	}
	return files, nil
}
