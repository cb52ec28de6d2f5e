package supervisor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// verb is a fault, or the end of one.
type verb struct {
	usage string
	least int // number of arguments
	most  int
	apply func(ctx context.Context, s *supervisor, args []string) error
}

// anyNumber of arguments.
const anyNumber = 1 << 16

// verbs are the same for a client, for the schedule of a topology and for the command line.
var verbs = map[string]verb{
	"kill":      {"kill STACK", 1, 1, onStack(func(_ context.Context, st *stack) error { return st.kill() })},
	"freeze":    {"freeze STACK", 1, 1, onStack(func(_ context.Context, st *stack) error { return st.freeze() })},
	"thaw":      {"thaw STACK", 1, 1, onStack(func(_ context.Context, st *stack) error { return st.thaw() })},
	"start":     {"start STACK", 1, 1, onStack(func(ctx context.Context, st *stack) error { return st.restart(ctx) })},
	"link-down": {"link-down NODE LINK", 2, 2, setLink(false)},
	"link-up":   {"link-up NODE LINK", 2, 2, setLink(true)},
	"drop": {"drop NETWORK FROM TO", 3, 3, func(_ context.Context, s *supervisor, args []string) error {
		return s.fabric.Drop(args[0], args[1], args[2])
	}},
	"partition": {"partition NETWORK NODE[,NODE...] ...", 2, anyNumber, func(_ context.Context, s *supervisor, args []string) error {
		var groups [][]string
		for _, group := range args[1:] {
			groups = append(groups, strings.Split(group, ","))
		}
		return s.fabric.Partition(args[0], groups)
	}},
	"heal": {"heal NETWORK", 1, 1, func(_ context.Context, s *supervisor, args []string) error {
		return s.fabric.Heal(args[0])
	}},
}

// onStack is a verb whose argument is a stack.
func onStack(apply func(context.Context, *stack) error) func(context.Context, *supervisor, []string) error {
	return func(ctx context.Context, s *supervisor, args []string) error {
		st, err := s.findStack(args[0])
		if err != nil {
			return err
		}
		return apply(ctx, st)
	}
}

// setLink is a verb whose arguments are a node and a link of it.
func setLink(up bool) func(context.Context, *supervisor, []string) error {
	return func(_ context.Context, s *supervisor, args []string) error {
		return s.fabric.SetLink(args[0], args[1], up)
	}
}

// fault applies a verb and logs it.
func (s *supervisor) fault(ctx context.Context, name string, args []string) error {
	v, ok := verbs[name]
	if !ok {
		return fmt.Errorf("no fault %q: %w", name, unix.EINVAL)
	}
	if len(args) < v.least || len(args) > v.most {
		return fmt.Errorf("fault %s takes the form %q: %w", name, v.usage, unix.EINVAL)
	}
	if err := v.apply(ctx, s, args); err != nil {
		s.log.Error("fault", "verb", name, "args", args, "error", err)
		return fmt.Errorf("%s: %w", name, err)
	}
	s.log.Info("fault", "verb", name, "args", args)
	return nil
}

// schedule is the state of the plan's faults.
type schedule struct {
	mu   sync.Mutex
	done []wire.StatusFault
}

// runSchedule applies the faults of the plan by the clock, which starts now. One that fails
// is logged, and the next ones follow all the same.
func (s *supervisor) runSchedule(ctx context.Context) {
	ready := time.Now()
	for _, fault := range s.plan.Faults {
		timer := time.NewTimer(time.Until(ready.Add(time.Duration(fault.AfterMS) * time.Millisecond)))
		select {
		case <-timer.C:
		case <-s.stopping:
			timer.Stop()
			return
		}
		result := wire.StatusFault{PlanFault: fault, Done: true}
		if err := s.fault(ctx, fault.Verb, fault.Args); err != nil {
			result.Error = err.Error()
		}
		s.faults.mu.Lock()
		s.faults.done = append(s.faults.done, result)
		s.faults.mu.Unlock()
	}
}

// status lists all faults of the plan, those to come too.
func (s *supervisor) faultStatus() []wire.StatusFault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	all := append([]wire.StatusFault(nil), s.faults.done...)
	for _, fault := range s.plan.Faults[len(all):] {
		all = append(all, wire.StatusFault{PlanFault: fault})
	}
	return all
}
