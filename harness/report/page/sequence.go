package page

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

// mostSteps is how many steps a picture shows. What decided is shown before what was only looked for.
const mostSteps = 24

// A sequence is the packets that decided a spec, in order of time, between the machines that they passed.
type sequence struct {
	Lines         []lifeline
	Width, Height int
	Steps         []step
	// Left is how many steps are not shown.
	Left int
}

// A lifeline is a machine in the picture.
type lifeline struct {
	Name string
	X    int
}

// A step is the answer to a question that the spec put to its packets.
type step struct {
	Number int
	// Sign, Word and Class tell whether the answer is one that lets the spec pass.
	Sign, Word, Class string
	// At is when, counted from the first step: "+1.204 ms".
	At string
	// Where is the interface, Words are what was looked for, Packet is what was seen.
	Where, Words, Packet string

	Y        int
	From, To int // of the arrow, where a packet was seen
	Head     int // +1 or -1, the direction of the arrow
	Label    string
	LabelX   int // the middle of an arrow's text, else where the text begins

	judgement capture.Judgement
	time      time.Time
	from, to  string // names of lifelines
}

// Seen says whether there is an arrow to draw.
func (s step) Seen() bool { return s.from != s.to }

// Names of lifelines that are no machine of the capture.
const (
	outside  = "outside"
	everyone = "everyone"
)

// newSequence reads the evidence of a spec; nil where its packets decided nothing.
func newSequence(dir string) (*sequence, error) {
	judgements, packets, err := evidence.Read(dir)
	if err != nil {
		return nil, err
	}
	record := packets.Record()
	cards := cardsOf(record)
	var steps []step
	for _, j := range merge(judgements) {
		if j.Until > len(record) || j.Seen >= len(record) || j.Until < 0 {
			return nil, fmt.Errorf("%s does not fit %s: packet %d of %d", evidence.JudgementsFile, evidence.PacketsFile, max(j.Until, j.Seen), len(record))
		}
		steps = append(steps, newStep(j, record, cards))
	}
	if len(steps) == 0 {
		return nil, nil
	}
	s := &sequence{Left: max(len(steps)-mostSteps, 0)}
	s.Steps = choose(steps)
	s.place()
	return s, nil
}

// weight orders judgements by how much they decide.
func weight(j capture.Judgement) int {
	switch {
	case !j.Holds():
		return 0
	case j.Role == capture.Attempt:
		return 2
	}
	return 1
}

// merge leaves one judgement for each packet, the one that decides most, and leaves out attempts that
// saw nothing: the spec went on either way.
func merge(judgements []capture.Judgement) []capture.Judgement {
	var merged []capture.Judgement
	place := map[int]int{} // in merged, by the packet
	for _, j := range judgements {
		if j.Seen < 0 {
			if j.Role != capture.Attempt {
				merged = append(merged, j)
			}
			continue
		}
		at, ok := place[j.Seen]
		switch {
		case !ok:
			place[j.Seen] = len(merged)
			merged = append(merged, j)
		case weight(j) < weight(merged[at]):
			merged[at] = j
		}
	}
	return merged
}

// choose shortens steps to what is shown and brings it into order of time.
func choose(steps []step) []step {
	order := slices.Clone(steps)
	slices.SortStableFunc(order, func(a, b step) int { return weight(a.judgement) - weight(b.judgement) })
	order = order[:min(len(order), mostSteps)]
	slices.SortStableFunc(order, func(a, b step) int { return a.time.Compare(b.time) })
	return order
}

func newStep(j capture.Judgement, record []capture.Packet, cards cards) step {
	s := step{judgement: j, Where: cmp.Or(j.On, "any interface"), Words: j.Words}
	if j.Direction != "" {
		s.Where += ", " + j.Direction
	}
	s.Sign, s.Class = "✓", "pass"
	switch {
	case !j.Holds():
		s.Sign, s.Class = "✗", "fail"
	case j.Role == capture.Attempt, j.Role == capture.Counted:
		s.Sign, s.Class = "·", "none"
	}
	s.from = machineOf(j.On)
	s.to = s.from
	if j.Seen >= 0 {
		packet := record[j.Seen]
		decoded := packet.Decode()
		s.time, s.Packet, s.Label = packet.Time, decoded.String(), label(decoded)
		s.from, s.to = cards.ends(packet)
	} else if j.Until > 0 {
		s.time = record[j.Until-1].Time
	}
	s.Word = word(j)
	return s
}

// word is the question and its answer.
func word(j capture.Judgement) string {
	switch {
	case j.Role == capture.Counted:
		return fmt.Sprintf("counted, %d", j.Count)
	case j.Role == capture.Attempt:
		return "seen"
	case j.Seen >= 0:
		return string(j.Role) + ", seen"
	case j.Role != capture.Unwanted && j.LimitNS > 0:
		return fmt.Sprintf("%s, not seen within %s", j.Role, j.Limit().Round(time.Millisecond))
	}
	return string(j.Role) + ", not seen"
}

// label is a packet in a few words, for its arrow.
func label(d segment.Decoded) string {
	switch d.Kind {
	case segment.TCP:
		text := fmt.Sprintf("%s %d → %d", d.Segment.Flags, d.Segment.Src.Port(), d.Segment.Dst.Port())
		if n := len(d.Segment.Payload); n > 0 {
			text += fmt.Sprintf(" (%d)", n)
		}
		return text
	case segment.ARPKind:
		return "ARP"
	case segment.NDPKind:
		return "neighbour discovery"
	case segment.ICMPError:
		return fmt.Sprintf("ICMP error %d/%d", d.Error.Type, d.Error.Code)
	case segment.Fragment:
		return fmt.Sprintf("fragment at %d", d.Offset)
	}
	return "not TCP"
}

// cards are the machines of network adapters, by the bytes of their addresses.
type cards map[string]string

// The addresses of an Ethernet frame are its first bytes: destination, then source.
const (
	macLength   = 6
	macsLength  = 2 * macLength
	multicastIn = 0 // the byte whose lowest bit says that many are addressed
)

// cardsOf learns whose addresses are whose: who sends from one has it, and else who receives what is
// addressed to it.
func cardsOf(record []capture.Packet) cards {
	found := cards{}
	for _, p := range record {
		if len(p.Data) >= macsLength && p.Outgoing {
			found[string(p.Data[macLength:macsLength])] = machineOf(p.Interface)
		}
	}
	for _, p := range record {
		if len(p.Data) < macsLength || p.Outgoing || p.Data[multicastIn]&1 != 0 {
			continue
		}
		if _, ok := found[string(p.Data[:macLength])]; !ok {
			found[string(p.Data[:macLength])] = machineOf(p.Interface)
		}
	}
	return found
}

// ends are the lifelines between which a packet passed.
func (c cards) ends(p capture.Packet) (from, to string) {
	if len(p.Data) < macsLength {
		return machineOf(p.Interface), machineOf(p.Interface)
	}
	from, to = cmp.Or(c[string(p.Data[macLength:macsLength])], outside), cmp.Or(c[string(p.Data[:macLength])], outside)
	if p.Data[multicastIn]&1 != 0 {
		to = everyone
	}
	return from, to
}

// machineOf is that of an interface: MVS1 of MVS1/ext0.
func machineOf(name string) string {
	machine, _, _ := strings.Cut(name, "/")
	return machine
}

// Lengths of the picture, in pixels of CSS.
const (
	lineFirst   = 128
	lineSpacing = 148
	lineMargin  = 70
	stepFirst   = 54
	stepSpacing = 32
	headLength  = 3
	besideGap   = 9 // between the ring of a packet that did not come and its text
	letter      = 7 // the width of a letter of texts at steps, or more
)

// place gives lifelines and steps their places.
func (s *sequence) place() {
	var names []string
	for _, step := range s.Steps {
		for _, name := range []string{step.from, step.to} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(side(a)-side(b), cmp.Compare(a, b)) })
	at := map[string]int{}
	for i, name := range names {
		at[name] = lineFirst + i*lineSpacing
		s.Lines = append(s.Lines, lifeline{name, at[name]})
	}
	s.Width = lineFirst + max(len(names)-1, 0)*lineSpacing + lineMargin
	s.Height = stepFirst + len(s.Steps)*stepSpacing - stepSpacing/2
	first := s.Steps[0].time
	for i := range s.Steps {
		step := &s.Steps[i]
		step.Number, step.Y = i+1, stepFirst+i*stepSpacing
		step.At = fmt.Sprintf("+%.3f ms", float64(step.time.Sub(first))/float64(time.Millisecond))
		step.From, step.To = cmp.Or(at[step.from], lineFirst), cmp.Or(at[step.to], lineFirst)
		step.Head = cmp.Compare(step.To, step.From)
		step.To -= headLength * step.Head
		step.LabelX = (step.From + step.To) / 2
		if !step.Seen() {
			step.LabelX = step.From + besideGap
		}
		s.Width = max(s.Width, step.textEnd())
	}
}

// textEnd is where the text of a step ends, or before.
func (s step) textEnd() int {
	if s.Seen() {
		return s.LabelX + letter*utf8.RuneCountInString(s.Sign+" "+s.Label)/2
	}
	return s.LabelX + letter*utf8.RuneCountInString(s.Sign+" "+s.Word)
}

// side orders lifelines: what is outside stands before the machines, everyone behind them.
func side(name string) int {
	switch name {
	case outside:
		return -1
	case everyone:
		return 1
	}
	return 0
}

// evidenceOf is the directory of what a spec kept, within that of its run: it may have been moved.
func evidenceOf(suite, kept string) string {
	return filepath.Join("evidence", suite, filepath.Base(kept))
}
