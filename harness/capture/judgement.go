package capture

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/harness/segment"
)

// A Role says what follows from the answer to a question that was put to a capture.
type Role string

// The roles.
const (
	// Stimulus has to be seen, else nothing follows from what came after it.
	Stimulus Role = "stimulus"
	// Expected has to be seen.
	Expected Role = "expected"
	// Unwanted must not be seen.
	Unwanted Role = "unwanted"
	// Counted is how many there were, of which the spec made something.
	Counted Role = "counted"
	// Attempt may be seen or not: whoever asks goes on either way.
	Attempt Role = "attempt"
)

// notFound is the place of a packet that was not seen.
const notFound = -1

// A Judgement is a question that a capture was asked, and its answer: whether a packet of a
// description was seen on an interface between two places of the record. The pcapng file holds
// packets in the order of the record, so that Derive can ask the same of the file.
type Judgement struct {
	Role Role `json:"role"`
	// On is the interface, empty for all; Direction is "received", "sent" or empty for both.
	On        string `json:"on,omitempty"`
	Direction string `json:"direction,omitempty"`
	// After and Until bound the record: the first packet that counts, and the first one that counts
	// no more. Packets are counted from 0.
	After int `json:"after"`
	Until int `json:"until"`
	// Since is when a packet passed that counts, at the earliest; zero: none is too early. Packets of
	// several interfaces are recorded in another order than they passed.
	Since time.Time `json:"since,omitzero"`
	// Words say what was looked for. Pattern describes it; without one, which is so where a function of
	// the spec decided (Where), nobody else can ask again.
	Words   string           `json:"words"`
	Pattern *segment.Pattern `json:"pattern,omitempty"`
	// Seen is the first packet that it describes, -1 for none; Count is that of a Counted one.
	Seen  int `json:"seen"`
	Count int `json:"count,omitempty"`
	// LimitNS is how long the packet was waited for at most, in nanoseconds; 0 for a question about what
	// was recorded already, and for a wait that nothing but the end of the spec bounds.
	LimitNS int64 `json:"limit_ns,omitempty"`
}

// String is one line: "expected on MVS2/xcf0, received: any > 192.0.2.9:80 with SYN".
func (j Judgement) String() string {
	return fmt.Sprintf("%s on %s: %s", j.Role, j.view(nil), j.Words)
}

// Limit is LimitNS.
func (j Judgement) Limit() time.Duration { return time.Duration(j.LimitNS) }

// Derivable says whether a file of the packets is enough to judge again.
func (j Judgement) Derivable() bool { return j.Pattern != nil }

// Holds says whether the answer is one that lets a spec pass.
func (j Judgement) Holds() bool {
	switch j.Role {
	case Unwanted:
		return j.Seen == notFound
	case Stimulus, Expected:
		return j.Seen != notFound
	}
	return true
}

// Judgements are those of all questions answered so far, in the order of their answers.
func (c *Capture) Judgements() []Judgement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.judgements)
}

// Record is every packet by now in the order of the record, by which judgements count them.
func (c *Capture) Record() []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.packets)
}

// judge records an answer. Its role is that of the view, if that has one.
func (v View) judge(j Judgement, match Match) {
	j.Role = cmp.Or(v.role, j.Role)
	j.On, j.Direction, j.Words = v.on, directions[v.direction], match.String()
	j.After, j.Since = v.after.place, v.after.at.UTC()
	if pattern, ok := match.(segment.Pattern); ok {
		j.Pattern = &pattern
	}
	v.capture.mu.Lock()
	defer v.capture.mu.Unlock()
	v.capture.judgements = append(v.capture.judgements, j)
}

// view is the one that the question was about, in another capture.
func (j Judgement) view(c *Capture) View {
	return View{capture: c, on: j.On, after: Mark{j.After, j.Since}, direction: direction(max(slices.Index(directions, j.Direction), 0))}
}

// errNotDerivable says that a spec decided with a function of its own.
var errNotDerivable = errors.New("decided by a function of the spec, which a file of packets does not hold")

// Derive asks the question again, of a capture read with Open, and says why the answer is not the
// recorded one; nil where it is. An absence in a capture that lost packets is a *LossError.
func (c *Capture) Derive(j Judgement) error {
	switch {
	case !j.Derivable():
		return fmt.Errorf("%s: %w", j, errNotDerivable)
	case !slices.Contains(directions, j.Direction), j.After < 0, j.Until > len(c.packets):
		return fmt.Errorf("%s: packets %d to %d of %d are asked for", j, j.After, j.Until, len(c.packets))
	}
	v := j.view(c)
	begin := min(j.After, j.Until)
	if j.Role == Counted {
		return c.recount(j, c.packets[begin:j.Until])
	}
	seen := v.first(c.packets[begin:j.Until], *j.Pattern)
	if seen != notFound {
		seen += begin
	}
	if seen != j.Seen {
		return fmt.Errorf("%s: packet %s was seen by the spec, the file has %s", j, place(j.Seen), place(seen))
	}
	if j.Role == Unwanted && seen == notFound {
		return c.loss()
	}
	return nil
}

func (c *Capture) recount(j Judgement, packets []Packet) error {
	v, count := j.view(c), 0
	for _, p := range packets {
		if v.shows(p) && j.Pattern.Match(p.Decode()) {
			count++
		}
	}
	if count != j.Count {
		return fmt.Errorf("%s: %d packets were seen by the spec, the file has %d", j, j.Count, count)
	}
	return c.loss()
}

func place(packet int) string {
	if packet == notFound {
		return "none"
	}
	return fmt.Sprintf("number %d", packet)
}
