package tenure

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// A History is what concurrent programs of a plex saw of one address. It is safe for concurrent use.
// Times are of one clock that all programs share, in ns.
type History struct {
	release time.Duration

	mu      sync.Mutex
	deeds   []porcupine.Operation
	sockets int // bound so far
}

// NewHistory begins one. A stack has given a port back within release of the end of its last socket.
func NewHistory(release time.Duration) *History { return &History{release: release} }

// Bound notes a bind() that succeeded, and returns the number of its socket, from 1.
func (h *History) Bound(by Program, port uint16, began, ended int64) (socket int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets++
	h.add(deed{kind: bound, by: by, port: port, socket: h.sockets}, began, ended)
	return h.sockets
}

// Refused notes a bind() that was answered with EADDRINUSE.
func (h *History) Refused(by Program, port uint16, began, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(deed{kind: refused, by: by, port: port, began: began}, began, ended)
}

// Closed notes the end of a socket, by close() or by the end of its program.
func (h *History) Closed(by Program, port uint16, socket int, began, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(deed{kind: closed, by: by, port: port, socket: socket, until: h.until(ended)}, began, ended)
}

// GaveUp notes a bind() that was answered with EAGAIN although its stack may have got the port all the
// same, too late: the stack then gives it back. A stack that answers so before it has asked for anything
// has done nothing, and there is nothing to note.
func (h *History) GaveUp(by Program, port uint16, began, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := h.until(ended)
	h.add(deed{kind: gaveUp, by: by, port: port, until: until}, began, until)
}

// KilledIn notes a bind() that its program was killed in, or before or after, and had ended at some time.
// It may have had its effect, also after that end: whoever carries out the call for the program has not
// heard of its end yet, and has the socket still.
func (h *History) KilledIn(by Program, port uint16, began, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := h.until(ended)
	h.add(deed{kind: killedIn, by: by, port: port, until: until}, began, until)
}

func (h *History) until(ended int64) int64 { return ended + h.release.Nanoseconds() }

func (h *History) add(d deed, began, ended int64) {
	h.deeds = append(h.deeds, porcupine.Operation{Input: d, Call: began, Return: ended})
}

// Summary says how many deeds of each kind there are.
func (h *History) Summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := map[kind]int{}
	for _, operation := range h.deeds {
		count[operation.Input.(deed).kind]++
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, count[k]))
	}
	return strings.Join(parts, ", ")
}

// Check fails with what happened to a port if that can be put in no order that the model permits, or
// with a time limit of the search exceeded, which takes milliseconds.
func (h *History) Check(limit time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	checked := model.ToModel()
	for _, port := range partition(h.deeds) {
		switch porcupine.CheckOperationsTimeout(checked, port, limit) {
		case porcupine.Illegal:
			return fmt.Errorf("there is no order of\n%s", story(port))
		case porcupine.Unknown:
			return fmt.Errorf("within %s no order was found of\n%s", limit, story(port))
		}
	}
	return nil
}

// partition is the history of each port.
func partition(deeds []porcupine.Operation) [][]porcupine.Operation {
	slices.SortStableFunc(deeds, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	byPort := map[uint16][]porcupine.Operation{}
	for _, d := range deeds {
		port := d.Input.(deed).port
		byPort[port] = append(byPort[port], d)
	}
	var parts [][]porcupine.Operation
	for _, part := range byPort {
		parts = append(parts, part)
	}
	return parts
}

// story is what happened to one port, a line each.
func story(port []porcupine.Operation) string {
	var text strings.Builder
	for _, operation := range port {
		d := operation.Input.(deed)
		fmt.Fprintf(&text, "%10.3f to %10.3f ms: port %d, process %d of %s: %s", float64(operation.Call-port[0].Call)/1e6,
			float64(operation.Return-port[0].Call)/1e6, d.port, d.by.Number, d.by.Stack, d.kind)
		if d.socket != 0 {
			fmt.Fprintf(&text, " (socket %d)", d.socket)
		}
		text.WriteByte('\n')
	}
	return text.String()
}
