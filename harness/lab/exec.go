package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// ExecSpec describes a process in a node.
type ExecSpec struct {
	// Argv is the command; a program without a slash is looked for in PATH.
	Argv []string
	// Env is added to the environment of the lab, which is that of the process that called Up without the variables
	// of the kit (PLEXLAB_*).
	Env []string
	// Dir is the working directory; empty: the caller's own.
	Dir string
	// Application, on a stack: the process is run through the implementation's launcher under
	// this name, 1 to 8 characters. Elsewhere it means nothing.
	Application string
	// Stdin, Stdout and Stderr are given to the process as they are. If all are nil, it reads
	// nothing, and Process.Output is what it writes; if some are, /dev/null takes their place.
	Stdin, Stdout, Stderr *os.File
}

// A Process is a process in a node that this client has started. It ends with the client:
// when it has gone, or Close was called, the process group gets SIGKILL.
type Process struct {
	lab  *Lab
	conn *net.UnixConn
	pid  int

	sending sync.Mutex
	done    chan struct{}
	exited  Exited // once done is closed
	err     error
	output  *os.File
}

// Exec runs a process to its end. The end of the context kills it. A process that fails is no
// error: see Exited.
func (l *Lab) Exec(ctx context.Context, node string, spec ExecSpec) (Exited, error) {
	process, err := l.Start(ctx, node, spec)
	if err != nil {
		return Exited{}, err
	}
	defer process.Close()
	return process.Wait(ctx)
}

// Start starts a process. Close must be called in the end.
func (l *Lab) Start(ctx context.Context, node string, spec ExecSpec) (*Process, error) {
	if spec.Dir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return nil, fmt.Errorf("exec on %s: %w", node, err)
		}
		spec.Dir = dir
	}
	files, null, err := spec.files()
	if err != nil {
		return nil, fmt.Errorf("exec on %s: %w", node, err)
	}
	defer wire.CloseAll([]*os.File{null})
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := closeAtEnd(ctx, conn)
	var started wire.Started
	received, err := roundTrip(conn, wire.Request{
		Operation: wire.OperationExec, Node: node,
		Exec: &wire.Exec{Argv: spec.Argv, Env: spec.Env, Dir: spec.Dir, Application: spec.Application},
	}, &started, files...)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		wire.CloseAll(received)
		return nil, l.because(ctx, err)
	}
	p := &Process{lab: l, conn: conn, pid: started.Pid, done: make(chan struct{})}
	if len(received) == 1 {
		p.output = received[0]
	}
	go func() {
		defer close(p.done)
		_, p.err = receive(conn, &p.exited)
	}()
	return p, nil
}

// files are the three to send, or none.
func (s ExecSpec) files() (files []*os.File, null *os.File, err error) {
	if s.Stdin == nil && s.Stdout == nil && s.Stderr == nil {
		return nil, nil, nil
	}
	if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	for _, file := range []*os.File{s.Stdin, s.Stdout, s.Stderr} {
		if file == nil {
			file = null
		}
		// Programs expect files that block. Fd makes them so, which the other side shares.
		file.Fd()
		files = append(files, file)
	}
	return files, null, nil
}

// Pid is the number of the process in the lab's PID namespace.
func (p *Process) Pid() int { return p.pid }

// Wait waits for the end of the process. The end of the context ends the wait alone.
func (p *Process) Wait(ctx context.Context) (Exited, error) {
	select {
	case <-p.done:
		return p.exited, p.lab.because(ctx, p.err)
	case <-ctx.Done():
		return Exited{}, context.Cause(ctx)
	}
}

// Signal sends a signal to the process and its group. One that has ended is no error.
func (p *Process) Signal(number unix.Signal) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	err := wire.Send(p.conn, wire.Signal{Number: number})
	select {
	case <-p.done:
		return nil
	default:
		return err
	}
}

// Output is what the process has written so far, if ExecSpec named no files.
func (p *Process) Output() (string, error) {
	if p.output == nil {
		return "", nil
	}
	info, err := p.output.Stat()
	if err != nil {
		return "", fmt.Errorf("output of process %d: %w", p.pid, err)
	}
	text, err := io.ReadAll(io.NewSectionReader(p.output, 0, info.Size()))
	return string(text), err
}

// Close kills the process if it still runs, and gives back what it holds here.
func (p *Process) Close() error {
	err := p.conn.Close()
	if p.output != nil {
		p.output.Close()
	}
	<-p.done
	return err
}
