package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/topo"
)

// application is an application of the plan.
type application struct {
	plan topo.PlanApplication

	mu      sync.Mutex
	state   wire.State
	reason  string
	process *reaper.Process // the last one started, whether it runs or not
	listens bool            // a listening socket of it was seen
}

// appearTimeout bounds the wait for an application's first listening socket. One that does
// not listen costs so much.
const appearTimeout = 500 * time.Millisecond

// detachTimeout bounds the wait for a listening socket of those whom an application's first process has
// left behind, from its end on.
const detachTimeout = 5 * time.Second

// startApplications starts all applications of the plan, the nodes side by side.
func (s *supervisor) startApplications(ctx context.Context) error {
	var group errgroup.Group
	for _, n := range s.order {
		group.Go(func() error { return n.startApplications(ctx) })
	}
	return group.Wait()
}

// startApplications starts the applications of a node, in their order.
func (n *node) startApplications(ctx context.Context) error {
	for _, a := range n.applications {
		begin := time.Now()
		detail, err := n.startApplication(ctx, a)
		if err != nil {
			return fmt.Errorf("application %s on %s: %w", a.plan.Name, n.plan.Name, err)
		}
		n.lab.client.step(wire.StepApplication, n.plan.Name+"/"+a.plan.Name, detail, begin)
	}
	return nil
}

// startApplication starts one application and waits for its first listening socket, or so
// long that one which ends at once has done so.
func (n *node) startApplication(ctx context.Context, a *application) (detail string, err error) {
	dir := n.applicationDir(a.plan.Name)
	if err := writeFiles(dir, a.plan.Files); err != nil {
		return "", err
	}
	argv, err := fillIn(a.plan.Command, dir)
	if err != nil {
		return "", err
	}
	if argv, err = n.launched(a.plan.Name, argv); err != nil {
		return "", err
	}
	before, err := n.lab.fabric.Listening(n.plan.Name)
	if err != nil {
		return "", err
	}
	process, err := n.startLogged(argv, nil, dir, n.applicationLog(a.plan.Name))
	if err != nil {
		return "", err
	}
	a.begin(process)
	go n.watch(a, process, before)

	timeout := time.NewTimer(appearTimeout)
	defer timeout.Stop()
	next := newPace()
	ended := process.Ended()
	for {
		now, err := n.lab.fabric.Listening(n.plan.Name)
		if err != nil {
			return "", err
		}
		if now > before {
			a.listening()
			return "listens", nil
		}
		if exited, over := endOf(process); over && !exited.Success() {
			return "", withLog(fmt.Errorf("%w at once: %s", errEnded, exited), n.applicationLog(a.plan.Name))
		}
		select {
		case <-next.look():
		case <-ended:
			ended = nil // look at once, but only once
		case <-ctx.Done():
			return "", ctx.Err()
		case <-timeout.C:
			if exited, over := endOf(process); over {
				return "", withLog(fmt.Errorf("%w at once: %s, and nothing of it listens", errEnded, exited), n.applicationLog(a.plan.Name))
			}
			return "runs", nil
		}
	}
}

// endOf says how a process has ended, if it has.
func endOf(process *reaper.Process) (exited wire.Exited, over bool) {
	select {
	case <-process.Ended():
		return process.Exited(), true
	default:
		return wire.Exited{}, false
	}
}

// launched is the command of an application on this node: on a stack, through the
// implementation's launcher.
func (n *node) launched(name string, argv []string) ([]string, error) {
	if n.stack == nil {
		return argv, nil
	}
	parameters := n.parameters()
	parameters.App = name
	return n.stack.manifest.LaunchCommand(parameters, argv)
}

// applicationDir is the directory of an application's files, and its working directory.
func (n *node) applicationDir(name string) string {
	return filepath.Join(wire.NodePath(n.plan.Name), wire.AppsName, name)
}

// applicationLog is where its output goes.
func (n *node) applicationLog(name string) string { return n.applicationDir(name) + ".log" }

// dirTemplate is what topo leaves in commands and files for the directory of the application.
const dirTemplate = "{{.Dir}}"

// fillIn puts the directory into an application's command.
func fillIn(command []string, dir string) ([]string, error) {
	if len(command) == 0 {
		return nil, errors.New("the command is empty")
	}
	argv := make([]string, len(command))
	for i, text := range command {
		argv[i] = strings.ReplaceAll(text, dirTemplate, dir)
	}
	return argv, nil
}

// writeFiles writes files below dir, which their texts may name as {{.Dir}}. Their own names
// may have directories, but not lead out.
func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	for name, text := range files {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("file %q leads out of the application's directory", name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make the directory of file %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, dirTemplate, dir)), 0o644); err != nil {
			return fmt.Errorf("write file %s: %w", name, err)
		}
	}
	return nil
}

// begin notes a new process.
func (a *application) begin(process *reaper.Process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.process, a.listens = process, false
	a.state, a.reason = wire.StateRunning, ""
}

// watch notes the end of an application's process. Before it was started, so many sockets of the
// node listened. What it has left behind may listen only after it.
func (n *node) watch(a *application, process *reaper.Process, before int) {
	exited := process.Exited()
	next, deadline := newPace(), time.Now().Add(detachTimeout)
	for {
		now, err := n.lab.fabric.Listening(n.plan.Name)
		failed := a.over(process, exited, err == nil && now > before)
		if !failed || !exited.Success() || err != nil || time.Now().After(deadline) {
			return
		}
		<-next.look()
	}
}

// over notes the end of the process, and whether a socket of the application listens. It reports whether
// the application has failed with it; not if another process has been started since, or it was to end.
func (a *application) over(process *reaper.Process, exited wire.Exited, listens bool) (failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.process != process || a.state != wire.StateRunning && a.state != wire.StateFailed {
		return false
	}
	a.listens = a.listens || listens
	a.ended(exited)
	return a.state == wire.StateFailed
}

// listening notes that a listening socket of the application was seen.
func (a *application) listening() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listens = true
	if a.state == wire.StateFailed {
		a.ended(a.process.Exited())
	}
}

// ended judges the end of the first process: many servers end it once others serve in the
// background. The caller holds mu.
func (a *application) ended(exited wire.Exited) {
	a.state, a.reason = wire.StateFailed, exited.String()
	if exited.Success() && a.listens {
		a.state, a.reason = wire.StateBackground, ""
	}
}

// fail notes that the application has ended with its stack.
func (a *application) fail(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != wire.StateStopped {
		a.state, a.reason = wire.StateFailed, reason
	}
}
