package ports

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/bench/probe"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// What processes do to a port of the DVIPA, and what a stack does after them.
type action string

const (
	binds   action = "bind"
	closes  action = "close"     // or dies: the kernel has no socket of the process any more
	returns action = "give back" // by its stack, at some time after that
)

// A deed is one action of a process on one port.
type deed struct {
	action  action
	port    uint16
	stack   string
	process int // 0 for what a stack does
}

// A port as the model has it: which stack has it in the coupling facility, and which process has a
// socket there.
type tenure struct {
	stack   string
	process int
}

// model is what cluster-wide ports promise, each port by itself: a bind succeeds where no other stack
// has the port and no other process of this one has a socket there, and is refused where either has. A
// stack gives a port back once no socket of it is there.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byPort := map[uint16][]porcupine.Operation{}
		for _, operation := range history {
			port := operation.Input.(deed).port
			byPort[port] = append(byPort[port], operation)
		}
		var parts [][]porcupine.Operation
		for _, part := range byPort {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return tenure{} },
	Step: func(state, input, output any) (bool, any) {
		now, did := state.(tenure), input.(deed)
		switch did.action {
		case binds:
			may := now.stack == "" || now.stack == did.stack && now.process == 0
			if output.(unix.Errno) != 0 {
				return !may, now
			}
			return may, tenure{did.stack, did.process}
		case closes:
			return now.process == did.process, tenure{stack: now.stack}
		default:
			if now == (tenure{stack: did.stack}) {
				now = tenure{}
			}
			return true, now
		}
	},
}

// A history is what all processes did, by CLOCK_MONOTONIC.
type history struct {
	mu         sync.Mutex
	operations []porcupine.Operation
	tries      int // refused because somebody had the lock for long (I23)
}

func (h *history) add(client int, did deed, began, ended int64, errno unix.Errno) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: did, Output: errno, Call: began, Return: ended})
}

// ended notes that a process has no socket at a port any more, and that its stack gives the port back
// between then and the most that it may take.
func (h *history) ended(client int, did deed, began, ended int64) {
	did.action = closes
	h.add(client, did, began, ended, 0)
	did.action = returns
	h.add(client, did, began, ended+int64(trial.Limit), 0)
}

// Ports that processes ask for by number; others come from the pool, which is large enough for all.
const (
	processes = 16
	lives     = 2
	steps     = 12
	firstPort = 6000
	numbers   = 6
)

// live has one process bind and close at random until it dies, as the program with that number.
func (h *history) live(program *trial.Program, number int, random *rand.Rand) {
	bound := map[string]uint16{}
	for step := range steps {
		name := fmt.Sprintf("s%d", step)
		if held := slices.Sorted(maps.Keys(bound)); len(held) > 0 && random.IntN(2) == 0 {
			name = held[random.IntN(len(held))]
			answer := program.Do("close " + name)
			h.ended(number, deed{port: bound[name], stack: program.Stack, process: number}, answer.Began, answer.Ended)
			delete(bound, name)
			continue
		}
		port := uint16(0)
		if random.IntN(3) > 0 {
			port = firstPort + uint16(random.IntN(numbers))
		}
		if slices.Contains(slices.Collect(maps.Values(bound)), port) {
			continue // its own socket has it: that is between the process and its kernel
		}
		program.Do("socket " + name)
		answer := program.Try(fmt.Sprintf("bind %s %s", name, at(trial.DVB1, port)))
		if port == 0 && answer.Errno == 0 {
			port = answer.Local.Port()
		}
		switch {
		case answer.Errno == unix.EAGAIN:
			h.mu.Lock()
			h.tries++
			h.mu.Unlock()
		case answer.Errno != 0 && answer.Errno != unix.EADDRINUSE, port == 0:
			verdict.Mismatch(fmt.Sprintf("port %d on %s bound or in use", port, program.Stack), answer.Errno.Error())
		default:
			h.add(number, deed{binds, port, program.Stack, number}, answer.Began, answer.Ended, answer.Errno)
		}
		if answer.Errno != 0 {
			program.Do("close " + name)
			continue
		}
		bound[name] = port
	}
	began := probe.Now()
	program.Kill()
	ended := probe.Now()
	for _, port := range bound {
		h.ended(number, deed{port: port, stack: program.Stack, process: number}, began, ended)
	}
}

var _ = Describe("sixteen processes of four stacks", SpecPriority(1), func() {
	both(func(sharing string) {
		// They bind, close and die as they like. Whatever they saw can be put in one order in which no
		// port has two owners (T32, I30): the history is linearizable. In the end nothing is in use.
		It("see one order of owners for each port", requirements.Covers("T33", "T32", "I15", "I18", "T35"), func() {
			s := plex(sharing)
			stacks := []string{"MVS1", "MVS2", "MVS3", "MVS4"}
			h := new(history)
			var all sync.WaitGroup
			for n := range processes {
				all.Go(func() {
					defer GinkgoRecover()
					random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), uint64(n)))
					for life := range lives {
						program := s.Program(stacks[n%len(stacks)], fmt.Sprintf("APP%d", n))
						h.live(program, 1+n+life*processes, random)
					}
				})
			}
			all.Wait()
			AddReportEntry("history", fmt.Sprintf("%d operations, %d refused for the lock", len(h.operations), h.tries))
			Expect(h.operations).NotTo(BeEmpty())

			for _, part := range model.Partition(h.operations) {
				outcome := porcupine.CheckOperationsTimeout(model, part, checkLimit)
				Expect(outcome).To(Equal(porcupine.Ok), "whether there is an order of\n%s", story(part))
			}

			last := s.Program("MVS5", "APPZ")
			for n := range uint16(numbers) {
				s.EventuallyBinds(last, fmt.Sprintf("s%d", n), at(trial.DVB1, firstPort+n))
			}
			last.Kill()
			if sharing == topo.SharingPortFile {
				ports := s.PortFile()
				for port := uint16(firstPort); port < firstPort+numbers; port++ {
					ports.EventuallyFree(at(trial.DVB1, port))
				}
				ports.ExpectClean(trial.DVB1)
			}
		})
	})
})

// story is what happened to one port, a line each.
func story(part []porcupine.Operation) string {
	slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var text strings.Builder
	for _, operation := range part {
		did := operation.Input.(deed)
		fmt.Fprintf(&text, "%10.3f to %10.3f ms: port %d, process %d of %s: %s", float64(operation.Call-part[0].Call)/1e6,
			float64(operation.Return-part[0].Call)/1e6, did.port, did.process, did.stack, did.action)
		if errno := operation.Output.(unix.Errno); errno != 0 {
			fmt.Fprintf(&text, ": %v", errno)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// checkLimit is the most that the search for an order takes; it takes milliseconds.
const checkLimit = 20 * time.Second
