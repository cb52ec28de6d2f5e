package ports

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/tenure"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// What each process does. The ports that it asks for by number are none of the pool.
const (
	steps     = 12
	burst     = 16
	firstPort = 6000
	numbers   = 4
)

// crowd is how many processes there are, and how many lives each has, one after the other. Who has which
// port is decided by numbers alone, whatever the family of the DVIPA: with IPv6 one of each stack does.
func crowd(f trial.Family) (processes, lives int) {
	if f.DVA1.Is6() {
		return 4, 1
	}
	return 16, 2
}

// giveBack is the most that a stack may take to give a port back while all others want its lock too, on a
// machine that is loaded. That every port is given back is found in the end, within trial.Limit.
func giveBack() time.Duration { return trial.Allowed(tolerance.GivenBack) }

// deadMS keeps a stack that a loaded machine does not let run from being given up by the others, in ms. An
// owner that keeps the table of ports gives the ports of one that it does not hear to others (T32), whether
// that lives or not; that is another matter.
const deadMS = 30000

// A life is that of one process, which binds and closes at random until it is killed.
type life struct {
	*trial.Program
	f       trial.Family
	by      tenure.Program
	history *tenure.History
	sharing string
	random  *rand.Rand
	held    map[string]tenant // by the name of its socket
}

// A tenant is a socket at a port.
type tenant struct {
	port   uint16
	socket int
}

func (l *life) run() {
	for step := range steps {
		names, port := slices.Sorted(maps.Keys(l.held)), l.number()
		switch chance := l.random.IntN(8); {
		case chance < 3 && len(names) > 0:
			l.close(names[l.random.IntN(len(names))])
		case chance < 5:
			l.bind(fmt.Sprintf("s%d", step), 0)
		case l.has(port):
		case chance < 6:
			l.bind(fmt.Sprintf("s%d", step), port)
		default:
			l.rush(port)
		}
	}
	l.die(l.number())
}

// number is a port to ask for by number.
func (l *life) number() uint16 { return firstPort + uint16(l.random.IntN(numbers)) }

// has says that the process has a socket at a port: another one is between it and its kernel.
func (l *life) has(port uint16) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(l.held)), func(t tenant) bool { return t.port == port })
}

func (l *life) close(name string) {
	GinkgoHelper()
	l.closed(l.held[name], l.Do("close "+name))
	delete(l.held, name)
}

func (l *life) closed(t tenant, answer puppet.Answer) {
	l.history.Closed(l.by, t.port, t.socket, answer.Began, answer.Ended)
}

// bind keeps what it gets.
func (l *life) bind(name string, port uint16) {
	GinkgoHelper()
	l.Do(l.socket(name))
	if got, ok := l.bound(port, l.Try(l.order(name, port))); ok {
		l.held[name] = got
	} else {
		l.Do("close " + name)
	}
}

func (l *life) socket(name string) string {
	return trial.SocketOrder(name, at(l.f.DVB1, 0))
}

func (l *life) order(name string, port uint16) string {
	return fmt.Sprintf("bind %s %s", name, at(l.f.DVB1, port))
}

// rush binds and closes as fast as the process can: the orders are there before it needs them. It keeps
// the port for no time or some, and stays away from it for no time or long enough for its stack to give
// it back.
func (l *life) rush(port uint16) {
	GinkgoHelper()
	for range burst {
		l.Begin(l.socket("r"))
		l.Begin(l.order("r", port))
		l.beginPause(4)
		l.Begin("close r")
		l.beginPause(16)
	}
	for range burst {
		l.Answer()
		got, ok := l.bound(port, l.Answer())
		l.Answer()
		if answer := l.Answer(); ok {
			l.closed(got, answer)
		}
		l.Answer()
	}
}

// beginPause has the process do nothing for a time below so many units, of 2 ms.
func (l *life) beginPause(units int) {
	GinkgoHelper()
	l.Begin(fmt.Sprintf("wait %dms", 2*l.random.IntN(units)))
}

// bound notes what a bind was answered, and says whether there is a socket now.
func (l *life) bound(port uint16, answer puppet.Answer) (t tenant, ok bool) {
	GinkgoHelper()
	switch {
	case answer.Errno == 0:
		port = answer.Local.Port()
		return tenant{port, l.history.Bound(l.by, port, answer.Began, answer.Ended)}, true
	case answer.Errno == unix.EADDRINUSE && port != 0:
		l.history.Refused(l.by, port, answer.Began, answer.Ended)
	case answer.Errno != unix.EAGAIN:
		verdict.Mismatch(fmt.Sprintf("port %d on %s bound or in use", port, l.Stack), answer.Errno.Error())
	case l.sharing == topo.SharingDistributor && port != 0:
		// The answer of the owner may be under way. Who has to wait for the lock of the port file for
		// too long has done nothing (I23).
		l.history.GaveUp(l.by, port, answer.Began, answer.Ended)
	}
	return tenant{}, false
}

// die ends the process, every other time while it binds once more.
func (l *life) die(port uint16) {
	GinkgoHelper()
	began := monotonic.Now()
	binds := l.random.IntN(2) == 0 && !l.has(port)
	if binds {
		l.Do(l.socket("last"))
		l.Begin(l.order("last", port))
	}
	killed := monotonic.Now()
	l.Kill()
	ended := monotonic.Now()
	if binds {
		l.history.KilledIn(l.by, port, began, ended)
	}
	for _, held := range l.held {
		l.closed(held, puppet.Answer{Began: killed, Ended: ended})
	}
}

var _ = trial.DescribeFamilies("processes of four stacks", func(f trial.Family) {
	both(func(sharing string) {
		// They bind, close and die as they like. Whatever they saw can be put in one order in which no
		// port has two owners (T32, I30): the history is linearizable. In the end nothing is in use.
		It("see one order of owners for each port", requirements.Covers("T33", "T32", "I15", "I18", "T35"), func() {
			stacks := []string{"MVS1", "MVS2", "MVS3", "MVS4"}
			s := started(f.Busy, sharing, among(append(stacks, "MVS5")...), func(t *topo.Topology) { t.Timers.DeadMS = deadMS })
			history := tenure.NewHistory(giveBack())
			processes, lives := crowd(f)
			var all sync.WaitGroup
			for n := range processes {
				all.Go(func() {
					defer GinkgoRecover()
					random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), uint64(n)))
					for i := range lives {
						program := s.Program(stacks[n%len(stacks)], fmt.Sprintf("APP%d", n))
						by := tenure.Program{Stack: program.Stack, Number: 1 + n + i*processes}
						l := &life{program, f, by, history, sharing, random, map[string]tenant{}}
						l.run()
					}
				})
			}
			all.Wait()
			AddReportEntry("history", history.Summary())
			Expect(history.Check(checkLimit)).To(Succeed())

			last := s.Program("MVS5", "APPZ")
			for n := range uint16(numbers) {
				s.EventuallyBinds(last, fmt.Sprintf("s%d", n), at(f.DVB1, firstPort+n))
			}
			last.Kill()
			if sharing == topo.SharingPortFile {
				ports := s.PortFile()
				for port := uint16(firstPort); port < firstPort+numbers; port++ {
					ports.EventuallyFree(at(f.DVB1, port))
				}
				ports.ExpectClean(f.DVB1)
			}
		})
	})
}, SpecPriority(1))

// checkLimit is the most that the search for an order takes; it takes milliseconds.
const checkLimit = 20 * time.Second
