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
	"github.com/plexlab-dev/plexlab/harness/bench/probe"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// What each process does. The ports that it asks for by number are none of the pool, which is large enough
// for all other binds.
const (
	processes = 16
	lives     = 2
	steps     = 12
	firstPort = 6000
	numbers   = 6
	firstPool = 20000
)

// A life is that of one process, which binds and closes at random until it is killed.
type life struct {
	*trial.Program
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
		if names := slices.Sorted(maps.Keys(l.held)); len(names) > 0 && l.random.IntN(2) == 0 {
			l.close(names[l.random.IntN(len(names))])
			continue
		}
		port := uint16(0)
		if l.random.IntN(3) > 0 {
			port = l.number()
		}
		if !l.has(port) {
			l.bind(fmt.Sprintf("s%d", step), port)
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
	answer := l.Do("close " + name)
	l.history.Closed(l.by, l.held[name].port, l.held[name].socket, answer.Began, answer.Ended)
	delete(l.held, name)
}

func (l *life) bind(name string, port uint16) {
	GinkgoHelper()
	l.Do("socket " + name)
	answer := l.Try(fmt.Sprintf("bind %s %s", name, at(trial.IPv4.DVB1, port)))
	switch {
	case answer.Errno == 0:
		port = answer.Local.Port()
		l.held[name] = tenant{port, l.history.Bound(l.by, port, answer.Began, answer.Ended)}
		return
	case answer.Errno == unix.EADDRINUSE && port != 0:
		l.history.Refused(l.by, port, answer.Began, answer.Ended)
	case answer.Errno != unix.EAGAIN:
		verdict.Mismatch(fmt.Sprintf("port %d on %s bound or in use", port, l.Stack), answer.Errno.Error())
	case l.sharing == topo.SharingDistributor && port != 0:
		// The answer of the owner may be under way. Who has to wait for the lock of the port file for
		// too long has done nothing (I23).
		l.history.GaveUp(l.by, port, answer.Began, answer.Ended)
	}
	l.Do("close " + name)
}

// die ends the process, every other time while it binds once more.
func (l *life) die(port uint16) {
	GinkgoHelper()
	began := probe.Now()
	binds := l.random.IntN(2) == 0 && !l.has(port)
	if binds {
		l.Do("socket last")
		l.Begin(fmt.Sprintf("bind last %s", at(trial.IPv4.DVB1, port)))
	}
	killed := probe.Now()
	l.Kill()
	ended := probe.Now()
	if binds {
		l.history.KilledIn(l.by, port, began, ended)
	}
	for _, held := range l.held {
		l.history.Closed(l.by, held.port, held.socket, killed, ended)
	}
}

var _ = Describe("sixteen processes of four stacks", SpecPriority(1), func() {
	both(func(sharing string) {
		// They bind, close and die as they like. Whatever they saw can be put in one order in which no
		// port has two owners (T32, I30): the history is linearizable. In the end nothing is in use.
		It("see one order of owners for each port", requirements.Covers("T33", "T32", "I15", "I18", "T35"), func() {
			s := plex(sharing, func(t *topo.Topology) { t.ClusterPorts.First = firstPool })
			stacks := []string{"MVS1", "MVS2", "MVS3", "MVS4"}
			history := tenure.NewHistory(trial.Limit)
			var all sync.WaitGroup
			for n := range processes {
				all.Go(func() {
					defer GinkgoRecover()
					random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), uint64(n)))
					for i := range lives {
						program := s.Program(stacks[n%len(stacks)], fmt.Sprintf("APP%d", n))
						by := tenure.Program{Stack: program.Stack, Number: 1 + n + i*processes}
						l := &life{program, by, history, sharing, random, map[string]tenant{}}
						l.run()
					}
				})
			}
			all.Wait()
			AddReportEntry("history", fmt.Sprintf("%d deeds", history.Len()))
			Expect(history.Check(checkLimit)).To(Succeed())

			last := s.Program("MVS5", "APPZ")
			for n := range uint16(numbers) {
				s.EventuallyBinds(last, fmt.Sprintf("s%d", n), at(trial.IPv4.DVB1, firstPort+n))
			}
			last.Kill()
			if sharing == topo.SharingPortFile {
				ports := s.PortFile()
				for port := uint16(firstPort); port < firstPort+numbers; port++ {
					ports.EventuallyFree(at(trial.IPv4.DVB1, port))
				}
				ports.ExpectClean(trial.IPv4.DVB1)
			}
		})
	})
})

// checkLimit is the most that the search for an order takes; it takes milliseconds.
const checkLimit = 20 * time.Second
