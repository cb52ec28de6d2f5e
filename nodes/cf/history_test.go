package cf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"
)

// A concurrent history of many stacks must look like one where each operation happens at one
// moment between its call and its return, on a table that says for each port who has it.

// operation is what a stack does with a port.
type operation struct {
	stack int
	kind  string // bind, release, or death: what a killed stack has is taken back
	port  int
}

// outcome of an operation: "ok", "refused", or "unknown" for one that the stack died in.
type portState int // the stack that has the port, 0 for none

// ports is the table, a register for each port.
var ports = porcupine.NondeterministicModel{
	Init: func() []any { return []any{portState(0)} },
	Step: func(state, input, output any) []any {
		holder, op := state.(portState), input.(operation)
		stack := portState(op.stack)
		switch {
		case op.kind == "death" && holder == stack, op.kind == "release" && output == "ok" && holder == stack:
			return []any{portState(0)}
		case op.kind == "release" && output == "unknown" && holder == stack:
			return []any{portState(0), holder}
		case op.kind == "bind" && output == "ok" && (holder == 0 || holder == stack):
			return []any{stack}
		case op.kind == "bind" && output == "unknown" && holder == 0:
			return []any{stack, holder}
		case op.kind == "bind" && output == "refused" && holder != 0 && holder != stack, op.kind == "death", output == "unknown":
			return []any{holder}
		}
		return nil
	},
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byPort := map[int][]porcupine.Operation{}
		for _, op := range all {
			port := op.Input.(operation).port
			byPort[port] = append(byPort[port], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byPort {
			parts = append(parts, part)
		}
		return parts
	},
	DescribeOperation: func(input, output any) string {
		op := input.(operation)
		return fmt.Sprintf("MVS%d %s %d: %v", op.stack, op.kind, op.port, output)
	},
}

const (
	historyPorts      = 4
	historyFirst      = 5000
	historyOperations = 60
)

// history binds and releases ports, and says of each operation when it is called and when it has
// returned, so that one that it is killed in is known.
func history(f *File, random *rand.Rand) error {
	held := map[int]bool{}
	for range historyOperations {
		port := historyFirst + random.IntN(historyPorts)
		kind := "bind"
		if held[port] {
			kind = "release"
		}
		fmt.Printf("call %d %s %d\n", monotonic(), kind, port)
		var err error
		if kind == "bind" {
			_, err = bind(f, dvipa4, uint16(port), Unique)
		} else {
			_, err = f.Release(background, dvipa4, []Release{{Port: uint16(port)}}, nil)
		}
		outcome := "ok"
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			outcome = "refused"
		case errors.As(err, new(*BusyError)):
			outcome = "busy" // it did not happen
		case err != nil:
			return err
		default:
			held[port] = kind == "bind"
		}
		fmt.Printf("return %d %s\n", monotonic(), outcome)
	}
	return nil
}

// record reads the history of a stack until it ends, killed or not.
func record(stack int, output interface {
	Scan() bool
	Text() string
}) (operations []porcupine.Operation) {
	open := false
	for output.Scan() && output.Text() != "done" {
		var when int64
		var rest, kind string
		var port int
		switch {
		case strings.HasPrefix(output.Text(), "call"):
			_, _ = fmt.Sscanf(output.Text(), "call %d %s %d", &when, &kind, &port)
			operations = append(operations, porcupine.Operation{ClientId: stack, Input: operation{stack, kind, port}, Call: when, Output: "unknown"})
			open = true
		case open:
			_, _ = fmt.Sscanf(output.Text(), "return %d %s", &when, &rest)
			last := &operations[len(operations)-1]
			last.Return, last.Output = when, rest
			open = false
			if rest == "busy" {
				operations = operations[:len(operations)-1]
			}
		}
	}
	return operations
}

func TestHistoriesAreLinearizable(t *testing.T) {
	t.Parallel()
	const stacks, killed = 16, 6
	path := portFilePath(t)
	watcher := open(t, config(path, 100))
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var mu sync.Mutex
	var all []porcupine.Operation
	var puppets []*puppet
	for i := 1; i <= stacks; i++ {
		puppets = append(puppets, newPuppet(t, config(path, i)))
	}
	var group sync.WaitGroup
	for i, p := range puppets {
		stack := i + 1
		seed := random.IntN(1 << 30)
		p.say(fmt.Sprintf("history %d", seed))
		dies := stack <= killed
		after := time.Duration(random.IntN(100)) * time.Millisecond
		group.Go(func() {
			if dies {
				group.Go(func() { nap(after); _ = p.Process.Kill() })
			}
			operations := record(stack, p.output)
			if dies {
				operations = append(operations, deaths(t, watcher, p, stack, operations)...)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, operations...)
		})
	}
	group.Wait()
	unknown := 0
	for i, op := range all {
		if op.Output == "unknown" && op.Return == 0 {
			t.Fatalf("operation %d has no end: %+v", i, op)
		}
		if op.Output == "unknown" {
			unknown++
		}
	}
	t.Logf("%d operations of %d stacks, %d of them killed, %d operations cut short", len(all), stacks, killed, unknown)
	model := ports.ToModel()
	if result := porcupine.CheckOperationsTimeout(model, all, time.Minute); result != porcupine.Ok {
		t.Errorf("the history is not linearizable (%s): %v", result, all)
	}
	view(t, watcher)
}

// deaths are what follows when a stack is killed: for each port, what it has is taken back, which is
// seen to have happened when Reclaim returns. An operation that it was killed in ends by then.
func deaths(t *testing.T, watcher *File, p *puppet, stack int, operations []porcupine.Operation) (deaths []porcupine.Operation) {
	begin := int64(0)
	for _, op := range operations {
		begin = max(begin, op.Call)
	}
	p.kill()
	eventually(t, "ports taken back", func() bool { return watcher.Reclaim(background, p.config.Self) == nil })
	end := int64(monotonic())
	for i := range operations {
		if operations[i].Return == 0 {
			operations[i].Return = end
		}
	}
	for port := range historyPorts {
		deaths = append(deaths, porcupine.Operation{
			ClientId: stack, Input: operation{stack, "death", historyFirst + port}, Call: begin, Output: "ok", Return: end,
		})
	}
	return deaths
}
