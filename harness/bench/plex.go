package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

// plex is the Sysplex of a part, with the control API of its routing stack.
type plex struct {
	config  Config
	lab     *lab.Lab
	control *control.Client
	started []*lab.Process
}

// newPlex brings up a topology. The name is also what a person sees in plexlab list.
func newPlex(ctx context.Context, config Config, name string, topology []byte) (*plex, error) {
	plan, err := planOf(name, topology)
	if err != nil {
		return nil, err
	}
	l, err := lab.Up(ctx, &plan, config.options(name))
	if err != nil {
		return nil, err
	}
	return &plex{config: config, lab: l, control: l.Control(routing)}, nil
}

func planOf(name string, topology []byte) (topo.Plan, error) {
	parsed, err := topo.Parse(name+".yaml", topology)
	if err != nil {
		return topo.Plan{}, err
	}
	return parsed.Plan()
}

func (c Config) options(name string) lab.Options {
	return lab.Options{
		Name: fmt.Sprintf("%s-%d", name, os.Getpid()), Implementation: c.Implementation,
		Supervisor: lab.SupervisorOf(c.Executable),
	}
}

// close ends what was started, and the laboratory; nobody waits for either to be orderly.
func (p *plex) close() {
	for _, process := range p.started {
		process.Close()
	}
	p.control.Close()
	p.lab.Close()
	<-p.lab.Done()
}

// output runs a command on a node to its end and returns what it writes. Words on its standard
// error are part of the error when it fails.
func (p *plex) output(ctx context.Context, node string, argv ...string) ([]byte, error) {
	return p.input(ctx, nil, node, argv...)
}

// input is output for a command that reads text.
func (p *plex) input(ctx context.Context, text []byte, node string, argv ...string) ([]byte, error) {
	files, err := newStandardFiles(text)
	if err != nil {
		return nil, err
	}
	defer files.close()
	exited, err := p.lab.Exec(ctx, node, lab.ExecSpec{
		Argv: argv, Stdin: files.in, Stdout: files.out, Stderr: files.err,
	})
	if err != nil {
		return nil, err
	}
	output, err := contents(files.out)
	if err != nil || exited.Success() {
		return output, err
	}
	words, err := contents(files.err)
	return output, errors.Join(err, fmt.Errorf("%s on %s: %v: %s", argv[0], node, exited, strings.TrimSpace(string(words))))
}

// start starts a command that stays until the plex is closed.
func (p *plex) start(ctx context.Context, node string, text []byte, argv ...string) error {
	files, err := newStandardFiles(text)
	if err != nil {
		return err
	}
	defer files.close()
	process, err := p.lab.Start(ctx, node, lab.ExecSpec{Argv: argv, Stdin: files.in})
	if err != nil {
		return err
	}
	p.started = append(p.started, process)
	return nil
}

// reachableLimit bounds the wait for a service, reachablePause is that between two tries.
const (
	reachableLimit = 5 * time.Second
	reachablePause = time.Millisecond
)

// reachable waits until each of the services lets a node connect.
func (p *plex) reachable(ctx context.Context, node string, services ...netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, reachableLimit)
	defer cancel()
	ticker := time.NewTicker(reachablePause)
	defer ticker.Stop()
	for _, service := range services {
		for {
			conn, err := p.lab.Dial(ctx, node, "tcp", netip.AddrPort{}, service)
			if err == nil {
				conn.Close()
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("wait for %s: %w", service, err)
			}
			<-ticker.C
		}
	}
	return nil
}

// startProgram starts a program of package probe on a node, through the launcher under the name
// of an application where one is given.
func startProgram(ctx context.Context, p *plex, node, application, name string) (*program, error) {
	return startCommand(ctx, p, node, application, name, p.config.Executable, "probe", name)
}

// startFavoured is startProgram for a program that gets most of a processor that others want too, if it may: what
// is measured is not how long it waits. It does not get ahead of stacks, which are real-time. Its weight
// counts within its session, and beside that the one of its session (sched(7), autogroup).
func startFavoured(ctx context.Context, p *plex, node, application, name string) (*program, error) {
	const favour = `{ echo -20 >/proc/self/autogroup; renice -n -20 $$; } >/dev/null 2>&1; exec "$@"`
	return startCommand(ctx, p, node, application, name, "sh", "-c", favour, "sh", p.config.Executable, "probe", name)
}

func startCommand(ctx context.Context, p *plex, node, application, name string, argv ...string) (*program, error) {
	in, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	answers, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, commands.Close())
	}
	defer out.Close()
	process, err := p.lab.Start(ctx, node, lab.ExecSpec{
		Argv: argv, Application: application,
		Stdin: in, Stdout: out, Stderr: os.Stderr,
	})
	if err != nil {
		return nil, errors.Join(err, commands.Close(), answers.Close())
	}
	return &program{name: name, in: commands, answers: json.NewDecoder(answers), end: func() {
		commands.Close()
		process.Close()
		answers.Close()
	}}, nil
}

// standardFiles are temporary files without names: what a process reads and writes.
type standardFiles struct{ in, out, err *os.File }

func newStandardFiles(input []byte) (standardFiles, error) {
	var files standardFiles
	for _, file := range []**os.File{&files.in, &files.out, &files.err} {
		created, err := os.CreateTemp("", "plexlab-bench-")
		if err == nil {
			*file, err = created, os.Remove(created.Name())
		}
		if err != nil {
			files.close()
			return standardFiles{}, err
		}
	}
	_, err := files.in.Write(input)
	if err == nil {
		_, err = files.in.Seek(0, io.SeekStart)
	}
	if err != nil {
		files.close()
	}
	return files, err
}

// close closes those that were created.
func (f standardFiles) close() {
	for _, file := range []*os.File{f.in, f.out, f.err} {
		if file != nil {
			file.Close()
		}
	}
}

// contents is what a process has written to a file.
func contents(file *os.File) ([]byte, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}
