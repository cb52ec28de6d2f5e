package capture

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A View is the part of a capture that a question is about: everything, or one interface, one
// direction, what was recorded after a Mark. Views are values; the capture under them grows.
type View struct {
	capture   *Capture
	on        string
	direction direction
	after     Mark
	role      Role
}

type direction uint8

const (
	both direction = iota
	received
	sent
)

// directions are their names, in words and in the record of judgements.
var directions = []string{"", "received", "sent"}

// All is everything that is recorded.
func (c *Capture) All() View { return View{capture: c} }

// On is what passes the interface of that name. A name that the capture does not have is a mistake
// of the caller and panics.
func (c *Capture) On(name string) View {
	if !slices.ContainsFunc(c.sources, func(s *source) bool { return s.name == name }) {
		panic(fmt.Sprintf("capture: interface %s is not recorded", name))
	}
	return View{capture: c, on: name}
}

// Received leaves what the machines of the interfaces receive.
func (v View) Received() View { v.direction = received; return v }

// Sent leaves what they send.
func (v View) Sent() View { v.direction = sent; return v }

// As says what follows from the answer to a question about the view; without it, Await is Expected and
// NoneBefore and None are Unwanted.
func (v View) As(role Role) View { v.role = role; return v }

// A Mark is a moment in a capture.
type Mark struct {
	place int // in the record
	at    time.Time
}

// Mark is now.
func (c *Capture) Mark() Mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Mark{len(c.packets), time.Now()}
}

// After leaves what passed an interface after mark. A packet that passed before counts no more, also where it is
// recorded later, as on a busy machine.
func (v View) After(mark Mark) View { v.after = mark; return v }

// String says what the view is of.
func (v View) String() string {
	text := "any interface"
	if v.on != "" {
		text = v.on
	}
	if v.direction != both {
		text += ", " + directions[v.direction]
	}
	return text
}

func (v View) shows(p Packet) bool {
	return (v.on == "" || p.Interface == v.on) &&
		(v.direction == both || p.Outgoing == (v.direction == sent)) &&
		!p.Time.Before(v.after.at)
}

// Packets returns what the view shows by now, in order of time.
func (v View) Packets() []Packet {
	shown, _ := v.packets()
	return shown
}

// packets returns the length of the record besides.
func (v View) packets() (shown []Packet, until int) {
	c := v.capture
	c.mu.Lock()
	until = len(c.packets)
	recorded := c.packets[min(v.after.place, until):until]
	c.mu.Unlock()
	// Recorded packets never change: the readers need not wait for what follows.
	for _, p := range recorded {
		if v.shows(p) {
			shown = append(shown, p)
		}
	}
	slices.SortStableFunc(shown, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	return shown, until
}

// Matching returns those of Packets that match describes.
func (v View) Matching(match Match) []Packet {
	v.role = Counted
	shown, until := v.packets()
	found := slices.DeleteFunc(shown, func(p Packet) bool { return !match.Match(p.Decode()) })
	v.judge(Judgement{Until: until, Seen: notFound, Count: len(found)}, match)
	return found
}

// Await waits until a packet that match describes is recorded and returns the first. When ctx
// ends, or the capture does, the error is a *NotSeenError that lists what was recorded instead.
func (v View) Await(ctx context.Context, match Match) (Packet, error) {
	_, p, err := v.await(ctx, match)
	return p, err
}

// await returns the place in the record besides.
func (v View) await(ctx context.Context, match Match) (int, Packet, error) {
	c := v.capture
	limit := int64(0)
	if end, ok := ctx.Deadline(); ok {
		limit = int64(time.Until(end))
	}
	for at := v.after.place; ; {
		c.mu.Lock()
		fresh := c.packets[min(at, len(c.packets)):]
		recorded, failure, stopped := c.recorded, c.failure, c.stopped
		c.mu.Unlock()
		if i := v.first(fresh, match); i >= 0 {
			v.judge(Judgement{Role: Expected, Until: at + i + 1, Seen: at + i, LimitNS: limit}, match)
			return at + i, fresh[i], nil
		}
		at += len(fresh)
		switch {
		case failure != nil:
			return 0, Packet{}, failure
		case stopped:
			v.judge(Judgement{Role: Expected, Until: at, Seen: notFound, LimitNS: limit}, match)
			return 0, Packet{}, v.notSeen(match, ErrStopped)
		}
		select {
		case <-recorded:
		case <-ctx.Done():
			v.judge(Judgement{Role: Expected, Until: at, Seen: notFound, LimitNS: limit}, match)
			return 0, Packet{}, v.notSeen(match, ctx.Err())
		}
	}
}

// first is the place of the first packet that the view shows and match describes, or notFound.
func (v View) first(packets []Packet, match Match) int {
	return slices.IndexFunc(packets, func(p Packet) bool { return v.shows(p) && match.Match(p.Decode()) })
}

// NoneBefore says that no packet that unwanted describes was recorded before the first one that
// marker describes. A marker makes an absence provable without waiting for a length of time: it is
// sent after the stimulus, on the same way, so that whatever the stimulus causes there comes
// first. A packet that is unwanted is an *UnexpectedError, a marker that does not come a
// *NotSeenError, packets that were lost are a *LossError.
//
// The view is of one interface, else it panics: between interfaces the record keeps no order.
func (v View) NoneBefore(ctx context.Context, unwanted, marker Match) error {
	if v.on == "" && len(v.capture.sources) > 1 {
		panic("capture: NoneBefore of more than one interface")
	}
	end, _, err := v.await(ctx, marker)
	if err != nil {
		return fmt.Errorf("await the marker: %w", err)
	}
	return v.none(unwanted, end)
}

// None says that no packet that unwanted describes is recorded by now. It is meant for a capture
// that was stopped.
func (v View) None(unwanted Match) error { return v.none(unwanted, v.capture.Mark().place) }

func (v View) none(unwanted Match, end int) error {
	c := v.capture
	c.mu.Lock()
	begin := min(v.after.place, end)
	packets, loss := c.packets[begin:end], c.loss()
	c.mu.Unlock()
	if i := v.first(packets, unwanted); i >= 0 {
		v.judge(Judgement{Role: Unwanted, Until: end, Seen: begin + i}, unwanted)
		return &UnexpectedError{View: v, Unwanted: unwanted, Packet: packets[i], Recorded: v.Packets()}
	}
	v.judge(Judgement{Role: Unwanted, Until: end, Seen: notFound}, unwanted)
	return loss
}

func (v View) notSeen(match Match, cause error) error {
	return &NotSeenError{View: v, Wanted: match, Recorded: v.Packets(), Cause: cause}
}
