package takeover

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/conformance/trial"
)

// condition is that of a stack's process.
type condition string

const (
	running  condition = "running"
	frozen   condition = "frozen"
	dead     condition = "dead"
	starting condition = "starting"
)

// mostDown is how many stacks are dead or frozen at most, so that somebody is left to take over.
const mostDown = 3

// mischief is what random faults have made of a plex.
type mischief struct {
	s      *trial.SystemTrial
	random *rand.Rand
	stacks []string
	done   []string

	mu        sync.Mutex
	processes map[string]condition
	ends      []ending
	failures  []error
	starts    sync.WaitGroup
	down      map[[2]string]bool // links by stack and name
	parted    bool               // the inter-stack network
}

// An ending is a stack's: from when its process was killed until the laboratory has cut the links of its node, as if the
// machine had failed with it. Meanwhile the kernel of the node goes on.
type ending struct {
	stack    string
	from, to time.Time
}

// covers says whether the stack was ending.
func (e ending) covers(stack string, at time.Time) bool {
	return e.stack == stack && !at.Before(e.from) && !at.After(e.to)
}

func newMischief(s *trial.SystemTrial, seed int64) *mischief {
	m := &mischief{
		s: s, random: rand.New(rand.NewPCG(uint64(seed), 0)), stacks: s.Stacks(),
		processes: map[string]condition{}, down: map[[2]string]bool{},
	}
	for _, stack := range m.stacks {
		m.processes[stack] = running
	}
	return m
}

// A fault is one step, its words and what carries it out.
type fault struct {
	words []string
	// heals: it ends an earlier one.
	heals bool
	after func() // what is so then
}

// possible are the faults that make sense now, in an order that depends on nothing else.
func (m *mischief) possible() []fault {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []fault
	add := func(heals bool, after func(), words ...string) { all = append(all, fault{words, heals, after}) }
	set := func(stack string, to condition) func() { return func() { m.processes[stack] = to } }
	out := 0
	for _, c := range m.processes {
		if c != running {
			out++
		}
	}
	for _, stack := range m.stacks {
		switch m.processes[stack] {
		case running:
			if out < mostDown {
				add(false, set(stack, dead), "kill", stack)
				add(false, set(stack, frozen), "freeze", stack)
			}
		case frozen:
			add(true, set(stack, running), "thaw", stack)
			add(false, set(stack, dead), "kill", stack)
		case dead:
			add(true, set(stack, starting), "start", stack)
		}
		if c := m.processes[stack]; c == dead || c == starting {
			continue // its links are down with it, and come up with it
		}
		for _, name := range []string{"ext0", "xcf0"} {
			link := [2]string{stack, name}
			if m.down[link] {
				add(true, func() { delete(m.down, link) }, "link-up", stack, name)
			} else {
				add(false, func() { m.down[link] = true }, "link-down", stack, name)
			}
		}
	}
	if m.parted {
		add(true, func() { m.parted = false }, "heal", "xcf")
	} else {
		add(false, func() { m.parted = true }, "partition", "xcf", strings.Join(m.half(), ","))
	}
	return all
}

// half is some of the stacks, one at least.
func (m *mischief) half() []string {
	some := slices.Clone(m.stacks)
	m.random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return some[:1+m.random.IntN(len(some)/2)]
}

// step applies one fault. As many are ended as are begun, in the long run.
func (m *mischief) step(ctx context.Context) error {
	all := m.possible()
	heals := m.random.IntN(2) == 0
	chosen := slices.DeleteFunc(slices.Clone(all), func(f fault) bool { return f.heals != heals })
	if len(chosen) == 0 {
		chosen = all
	}
	return m.apply(ctx, chosen[m.random.IntN(len(chosen))])
}

func (m *mischief) apply(ctx context.Context, f fault) error {
	m.done = append(m.done, fmt.Sprintf("%s %s", time.Now().Format("15:04:05.000000"), strings.Join(f.words, " ")))
	m.mu.Lock()
	f.after()
	m.mu.Unlock()
	if f.words[0] == "start" {
		// It takes until the stack sees the others, which further faults may keep it from.
		m.starts.Go(func() { m.start(ctx, f.words[1]) })
		return nil
	}
	begin := time.Now()
	err := m.s.Lab.Fault(ctx, f.words[0], f.words[1:]...)
	if f.words[0] == "kill" {
		m.ends = append(m.ends, ending{f.words[1], begin, time.Now()})
	}
	return err
}

func (m *mischief) start(ctx context.Context, stack string) {
	err := m.s.Lab.StartStack(ctx, stack)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.processes[stack] = running
	maps.DeleteFunc(m.down, func(link [2]string, _ bool) bool { return link[0] == stack })
	if err != nil {
		m.failures = append(m.failures, err)
	}
}

// end makes everything whole again.
func (m *mischief) end(ctx context.Context) error {
	for {
		all := slices.DeleteFunc(m.possible(), func(f fault) bool { return !f.heals })
		if len(all) == 0 {
			break
		}
		if err := m.apply(ctx, all[0]); err != nil {
			return err
		}
	}
	m.starts.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, err := range m.failures {
		return err
	}
	return nil
}
