// Package tolerance holds how much time an implementation is given in a run of the suites: what every
// implementation gets, and the published bound of what a manifest may ask for instead.
package tolerance

import (
	"fmt"
	"slices"
	"time"
)

// A Kind says in which direction a tolerance is loosened.
type Kind string

// The kinds.
const (
	// AtMost: something has to happen within the time; more of it is looser.
	AtMost Kind = "at-most"
	// AtLeast: something must not happen for the time; less of it is looser.
	AtLeast Kind = "at-least"
)

// A Tolerance is one of the times by which specs judge.
type Tolerance struct {
	// Name is unique, as a manifest has it: "limit".
	Name string `json:"name"`
	Text string `json:"text"`
	Kind Kind   `json:"kind"`
	// Standard is what holds unless a manifest deviates from it, Bound the loosest that it may ask for.
	// Where the two are equal nobody may deviate. Both are in nanoseconds as JSON.
	Standard time.Duration `json:"standard_ns"`
	Bound    time.Duration `json:"bound_ns"`
}

// The tolerances. Whatever judges an implementation by a time takes it from here.
var (
	Limit = Tolerance{
		"limit", "the most that a spec waits for one thing that the implementation has to do",
		AtMost, 3 * time.Second, 10 * time.Second,
	}
	Ready = Tolerance{
		"ready", "the most from the start of a stack until it is ready and has settled with all others",
		AtMost, time.Minute, 5 * time.Minute,
	}
	Noticed = Tolerance{
		"noticed", "the most from a system call that begins or ends listening to SRVSTAT at the routing stack",
		AtMost, 500 * time.Millisecond, 2 * time.Second,
	}
	Refused = Tolerance{
		"refused", "the most that a bind may take which cannot have the lock, or whose owner does not answer",
		AtMost, time.Second, 5 * time.Second,
	}
	Emptied = Tolerance{
		"emptied", "the most after the last of tens of thousands of connections that the CRT may hold something of one",
		AtMost, 5 * time.Second, 30 * time.Second,
	}
	GivenBack = Tolerance{
		"given-back", "the most until a port is given back while all others want the lock of its DVIPA",
		AtMost, 30 * time.Second, 30 * time.Second,
	}
	Stalled = Tolerance{
		"stalled", "the most that a question of a client is on its way to a living target while its DVIPA is taken back",
		AtMost, 500 * time.Millisecond, 2 * time.Second,
	}
	Quiet = Tolerance{
		"quiet", "the least that a spec watches for a message that must not come",
		AtLeast, 150 * time.Millisecond, 150 * time.Millisecond,
	}
	Held = Tolerance{
		"held", "the least that a connection which its server has closed is probed for an RST that must not come",
		AtLeast, 2 * time.Second, 2 * time.Second,
	}
)

// MaxInterpretations is how many interpretations an implementation may choose otherwise at most.
const MaxInterpretations = 3

// All lists the tolerances in the order of the package.
func All() []Tolerance {
	return []Tolerance{Limit, Ready, Noticed, Refused, Emptied, GivenBack, Stalled, Quiet, Held}
}

// ByName returns the tolerance of that name.
func ByName(name string) (Tolerance, bool) {
	i := slices.IndexFunc(All(), func(t Tolerance) bool { return t.Name == name })
	if i < 0 {
		return Tolerance{}, false
	}
	return All()[i], true
}

// Looser says whether value gives an implementation more than the standard does.
func (t Tolerance) Looser(value time.Duration) bool { return t.looser(value, t.Standard) }

// Loosest is the looser of two values.
func (t Tolerance) Loosest(a, b time.Duration) time.Duration {
	if t.looser(a, b) {
		return a
	}
	return b
}

// Check is an error where value is looser than the published bound.
func (t Tolerance) Check(value time.Duration) error {
	if !t.looser(value, t.Bound) {
		return nil
	}
	bound := "maximum"
	if t.Kind == AtLeast {
		bound = "minimum"
	}
	return fmt.Errorf("%s is %s, and its published %s is %s", t.Name, value, bound, t.Bound)
}

func (t Tolerance) looser(value, than time.Duration) bool {
	if t.Kind == AtLeast {
		return value < than
	}
	return value > than
}
