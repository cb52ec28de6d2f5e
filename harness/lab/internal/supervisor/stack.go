package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// stack is the process that a stack is.
type stack struct {
	node     *node
	manifest *impl.Manifest

	mu      sync.Mutex
	state   wire.State
	process *reaper.Process // of StateRunning and StateFrozen
	reason  string          // of StateFailed
	ended   time.Time       // of StateFailed
	// gone is closed when a process has ended and all that follows from it is done.
	gone chan struct{}
}

// startStacks starts every stack at once and waits until they are one plex.
func (s *supervisor) startStacks(ctx context.Context) error {
	var stacks []*stack
	for _, n := range s.order {
		if n.stack != nil {
			stacks = append(stacks, n.stack)
		}
	}
	if len(stacks) == 0 {
		return nil
	}
	begin := time.Now()
	var group errgroup.Group
	for _, st := range stacks {
		group.Go(func() error {
			begin := time.Now()
			if err := st.start(); err != nil {
				return err
			}
			s.client.step(wire.StepStack, st.node.plan.Name, st.manifest.Name, begin)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	all := func(r control.Ready) bool { return r.Ready && r.Settled && r.Members >= len(stacks) }
	if err := settle(ctx, begin, stacks, all, len(stacks)); err != nil {
		return err
	}
	s.client.step(wire.StepSettled, "", fmt.Sprintf("%d stacks", len(stacks)), begin)
	return nil
}

// settle waits until the answer of every stack to GET /v1/ready is accepted. The end of any of
// them ends the wait. Members says how many are expected, for the error.
func settle(ctx context.Context, begin time.Time, stacks []*stack, accept func(control.Ready) bool, members int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, st := range stacks {
		st.mu.Lock()
		gone := st.gone
		st.mu.Unlock()
		go func() {
			select {
			case <-gone:
				cancel(st.failure())
			case <-ctx.Done():
			}
		}()
	}
	// One after the other: they settle together, and as few as possible are asked meanwhile.
	for _, st := range stacks {
		err := st.await(ctx, begin, accept, members)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// A stack that waits for another one is not the one to name.
		for _, other := range stacks {
			if blame := other.await(ctx, time.Time{}, func(r control.Ready) bool { return r.Ready }, members); blame != nil {
				return blame
			}
		}
		return err
	}
	return context.Cause(ctx)
}

// start starts the stack's process.
func (st *stack) start() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	name := st.node.plan.Name
	if st.process != nil {
		return fmt.Errorf("stack %s runs already: %w", name, unix.EALREADY)
	}
	if st.node.lab.isStopping() {
		return fmt.Errorf("stack %s: the lab is ending: %w", name, unix.ESHUTDOWN)
	}
	parameters := st.node.parameters()
	if err := os.WriteFile(parameters.Profile, []byte(st.node.plan.Stack.Profile), 0o644); err != nil {
		return fmt.Errorf("stack %s: write its profile: %w", name, err)
	}
	if err := os.Remove(parameters.Control); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("stack %s: remove the control socket of its last process: %w", name, err)
	}
	argv, err := st.manifest.StartCommand(parameters)
	if err != nil {
		return fmt.Errorf("stack %s: %w", name, err)
	}
	process, err := st.node.startLogged(argv, nil, wire.NodePath(name), st.logPath())
	if err != nil {
		return fmt.Errorf("start stack %s with implementation %s: %w", name, st.manifest.Name, err)
	}
	st.process, st.state, st.reason, st.gone = process, wire.StateRunning, "", make(chan struct{})
	go st.watch(process, st.gone)
	return nil
}

// watch waits for the end of a process and then makes the node a machine that has failed:
// its links go down first, so that nothing that ends after it is heard any more.
func (st *stack) watch(process *reaper.Process, gone chan struct{}) {
	exited := process.Exited()
	defer close(gone)
	st.mu.Lock()
	st.process, st.state, st.reason, st.ended = nil, wire.StateFailed, exited.String(), time.Now()
	st.mu.Unlock()
	lab, name := st.node.lab, st.node.plan.Name
	if lab.isStopping() {
		return
	}
	err := errors.Join(lab.fabric.SetLinks(name, false), killInside(st.node.namespace.ID()))
	for _, a := range st.node.applications {
		a.fail("its stack failed: " + exited.String())
	}
	if err != nil {
		lab.log.Error("stack failed, and taking its node down did too", "stack", name, "reason", exited.String(), "error", err)
		return
	}
	lab.log.Warn("stack failed: its links are down, its applications ended", "stack", name, "reason", exited.String())
}

// await waits until the stack's answer to GET /v1/ready is accepted, the context ends, or the
// manifest's time since begin is over. Members says how many are expected, for the error.
func (st *stack) await(ctx context.Context, begin time.Time, accept func(control.Ready) bool, members int) error {
	deadline := time.NewTimer(time.Until(begin.Add(st.manifest.ReadyTimeout)))
	defer deadline.Stop()
	socket := wire.ControlPath(st.node.plan.Name)
	client := control.NewUnixClient(socket)
	defer client.Close()
	next := newPace()
	said := "it has not answered GET /v1/ready"
	for {
		var answer control.Ready
		// A look whether the socket is there costs a hundredth of a question that fails.
		_, err := os.Lstat(socket)
		if err == nil {
			asking, cancel := context.WithTimeout(ctx, answerTimeout)
			answer, err = client.Ready(asking)
			cancel()
		}
		switch {
		case err == nil && accept(answer):
			return nil
		case err == nil:
			said = fmt.Sprintf("it says ready=%t, settled=%t, members=%d of %d", answer.Ready, answer.Settled, answer.Members, members)
			if answer.Reason != "" {
				said += ": " + answer.Reason
			}
		case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ECONNREFUSED): // not serving yet
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			err := fmt.Errorf("stack %s is not ready after %s (%s): %w", st.node.plan.Name, st.manifest.ReadyTimeout, said, unix.ETIMEDOUT)
			return &wire.StackError{Stack: st.node.plan.Name, Err: withLog(err, st.logPath())}
		case <-next.look():
		}
	}
}

// answerTimeout bounds the wait for one answer of a stack.
const answerTimeout = time.Second

// failure is the error of a stack that has ended while it should not.
func (st *stack) failure() error {
	st.mu.Lock()
	reason := st.reason
	st.mu.Unlock()
	err := withLog(fmt.Errorf("stack %s %w: %s", st.node.plan.Name, errEnded, reason), st.logPath())
	return &wire.StackError{Stack: st.node.plan.Name, Err: err}
}

// lapse waits until the data path of a process that has ended does nothing more as an owner. No real machine starts as fast,
// and whoever has taken over did not wait.
func (st *stack) lapse(ctx context.Context) error {
	st.mu.Lock()
	until := st.ended.Add(portfile.Lapse(time.Duration(st.node.lab.plan.Timers.DeadMS) * time.Millisecond))
	st.mu.Unlock()
	over := time.NewTimer(time.Until(until))
	defer over.Stop()
	select {
	case <-over.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// restart is the verb start: nothing is left of the last process, links up, a new process, and, once it sees the stacks that run, its
// applications. Some of them it may not reach, by a fault; then twice the time after which a silent
// member is lost is enough. Where the process does not become ready in time, it stays for
// whoever wants to look at it.
func (st *stack) restart(ctx context.Context) error {
	st.mu.Lock()
	process, gone := st.process, st.gone
	st.mu.Unlock()
	if process == nil && gone != nil {
		<-gone // what follows from the end of the last process must not meet the next one
		if err := st.lapse(ctx); err != nil {
			return err
		}
	}
	begin := time.Now()
	fabric, name := st.node.lab.fabric, st.node.plan.Name
	if process == nil {
		if err := errors.Join(fabric.Forget(name), fabric.SetLinks(name, true)); err != nil {
			return err
		}
	}
	if err := st.start(); err != nil {
		if process == nil {
			err = errors.Join(err, fabric.SetLinks(name, false))
		}
		return err
	}
	members := st.node.lab.running()
	enough := 2 * time.Duration(st.node.lab.plan.Timers.DeadMS) * time.Millisecond
	var ready time.Time
	seen := func(r control.Ready) bool {
		if !r.Ready || !r.Settled {
			return false
		}
		if ready.IsZero() {
			ready = time.Now()
		}
		return r.Members >= members || time.Since(ready) > enough
	}
	if err := settle(ctx, begin, []*stack{st}, seen, members); err != nil {
		return err
	}
	return st.node.startApplications(ctx)
}

// running counts the stacks whose process runs.
func (s *supervisor) running() int {
	count := 0
	for _, n := range s.order {
		if n.stack == nil {
			continue
		}
		n.stack.mu.Lock()
		if n.stack.state == wire.StateRunning {
			count++
		}
		n.stack.mu.Unlock()
	}
	return count
}

// kill is the verb kill. It returns when the node is down as after any other end. A machine that fails answers
// nothing any more, so its links to the outside are down before others can see the end of the process.
func (st *stack) kill() error {
	process, gone, err := st.alive()
	if err != nil {
		return err
	}
	if err := process.SignalGroup(unix.SIGSTOP); err != nil {
		return err
	}
	plan := st.node.plan
	for _, link := range plan.Links {
		if link.Name != plan.Stack.XCFInterface {
			err = errors.Join(err, st.node.lab.fabric.SetLink(plan.Name, link.Name, false))
		}
	}
	if err := process.SignalGroup(unix.SIGKILL); err != nil {
		return err
	}
	<-gone
	return err
}

// freeze is the verb freeze. It returns when the stack is stopped. Its children are stopped after it: a thread that
// starts a program by vfork(2) waits until the program has begun, and cannot be stopped before.
func (st *stack) freeze() error {
	process, _, err := st.alive()
	if err != nil {
		return err
	}
	if err := process.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	if err := awaitStopped(process.Pid()); err != nil {
		return errors.Join(err, process.SignalGroup(unix.SIGCONT))
	}
	if err := process.SignalGroup(unix.SIGSTOP); err != nil {
		return err
	}
	st.change(process, wire.StateFrozen)
	return nil
}

// thaw is the verb thaw. A stack that is not frozen goes on as it is.
func (st *stack) thaw() error {
	process, _, err := st.alive()
	if err != nil {
		return err
	}
	st.change(process, wire.StateRunning)
	return process.SignalGroup(unix.SIGCONT)
}

// change sets the state, unless the process has ended meanwhile.
func (st *stack) change(process *reaper.Process, state wire.State) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.process == process {
		st.state = state
	}
}

// alive is the process of a stack that has one.
func (st *stack) alive() (*reaper.Process, <-chan struct{}, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.process == nil {
		return nil, nil, fmt.Errorf("stack %s does not run (%s): %w", st.node.plan.Name, st.reason, unix.ESRCH)
	}
	return st.process, st.gone, nil
}

// logPath is the stack's log; a process that is started again goes on with it.
func (st *stack) logPath() string {
	return filepath.Join(wire.NodePath(st.node.plan.Name), wire.StackLog)
}
