package tenure_test

import (
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/conformance/tenure"
)

var (
	onA   = tenure.Program{Stack: "A", Number: 1}
	alsoA = tenure.Program{Stack: "A", Number: 2}
	onB   = tenure.Program{Stack: "B", Number: 3}
)

// release is how long a stack may take to give a port back, in the ns that the times of a history are.
const release = 100

// port is any.
const port = 6000

// A history is right or not whatever the order in which it was noted; each is written down as it began.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history func(h *tenure.History)
		wrong   bool
	}{
		"one after the other on one stack": {history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			h.Bound(alsoA, port, 41, 50)
		}},
		"two sockets at once on one stack": {wrong: true, history: func(h *tenure.History) {
			h.Bound(onA, port, 10, 20)
			h.Bound(alsoA, port, 30, 40)
		}},
		"two stacks at once": {wrong: true, history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Bound(onB, port, 30, 40)
			h.Closed(onA, port, first, 50, 60)
		}},
		"a bind within the close elsewhere": {history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 60)
			h.Bound(onB, port, 40, 50)
		}},
		"two ports": {history: func(h *tenure.History) {
			h.Bound(onA, port, 10, 20)
			h.Bound(onB, port+1, 30, 40)
		}},
		"refused while another has it": {history: func(h *tenure.History) {
			h.Bound(onA, port, 10, 20)
			h.Refused(alsoA, port, 30, 40)
			h.Refused(onB, port, 30, 40)
		}},
		"refused, and nobody has it": {wrong: true, history: func(h *tenure.History) {
			h.Refused(onA, port, 10, 20)
			h.Bound(onB, port, 21, 30)
		}},
		"refused by a bind that began later and was first": {history: func(h *tenure.History) {
			h.Refused(onA, port, 10, 30)
			h.Bound(onB, port, 20, 40)
		}},
		"refused elsewhere until it is given back": {history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			h.Refused(onB, port, 140, 150)
			h.Bound(onB, port, 151, 160)
		}},
		"never given back": {wrong: true, history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			h.Refused(onB, port, 141, 150)
		}},
		"refused to the stack that has not given it back": {wrong: true, history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			h.Refused(alsoA, port, 41, 50)
		}},
		"given back although its stack has bound it again": {wrong: true, history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			h.Bound(alsoA, port, 41, 50)
			h.Bound(onB, port, 51, 60)
		}},
		"refused while somebody has it on the way back": {wrong: true, history: func(h *tenure.History) {
			first := h.Bound(onA, port, 10, 20)
			h.Closed(onA, port, first, 30, 40)
			second := h.Bound(onB, port, 50, 60)
			h.Closed(onB, port, second, 70, 80)
			h.Refused(onB, port, 81, 90)
		}},
		"given up and got too late": {history: func(h *tenure.History) {
			h.GaveUp(onA, port, 10, 20)
			h.Refused(onB, port, 30, 40)
			h.Bound(onB, port, 50, 60)
		}},
		"given up and not got": {history: func(h *tenure.History) {
			h.GaveUp(onA, port, 10, 20)
			h.Bound(onB, port, 21, 30)
		}},
		"given up and never given back": {wrong: true, history: func(h *tenure.History) {
			h.GaveUp(onA, port, 10, 20)
			h.Refused(onB, port, 121, 130)
		}},
		"given up, which leaves no socket": {wrong: true, history: func(h *tenure.History) {
			h.GaveUp(onA, port, 10, 20)
			h.Refused(alsoA, port, 30, 40)
		}},
		"killed in a bind that had its effect late": {history: func(h *tenure.History) {
			h.KilledIn(onA, port, 10, 20)
			second := h.Bound(onB, port, 30, 40)
			h.Closed(onB, port, second, 50, 60)
			h.Refused(alsoA, port, 110, 130)
			h.Refused(onB, port, 110, 130)
		}},
		"killed in a bind that never ends": {wrong: true, history: func(h *tenure.History) {
			h.KilledIn(onA, port, 10, 20)
			h.Refused(alsoA, port, 121, 130)
		}},
		"killed in a bind of a port that another has": {wrong: true, history: func(h *tenure.History) {
			second := h.Bound(onB, port, 5, 8)
			h.KilledIn(onA, port, 10, 20)
			h.Bound(alsoA, port, 30, 40)
			h.Closed(onB, port, second, 50, 60)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tenure.NewHistory(release * time.Nanosecond)
			test.history(h)
			if err := h.Check(time.Minute); (err != nil) != test.wrong {
				t.Errorf("Check: %v, want an error: %t", err, test.wrong)
			}
		})
	}
}
