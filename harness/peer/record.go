package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// What says what kind of entry a record has.
type What string

// The kinds of entry.
const (
	Joined     What = "joined"    // a handshake succeeded: Member
	Received   What = "received"  // the partner sent Message
	Sent       What = "sent"      // the peer sent Message
	Raw        What = "sent raw"  // the peer sent something that is no message: Note
	Malformed  What = "malformed" // the partner sent a frame whose content breaks the contract: Err
	Ended      What = "ended"     // the connection ended: Err, io.EOF where the partner closed it in order
	Refused    What = "refused"   // a connection did not come to be: Err
	HelloHeard What = "hello"     // a HELLO of the partner: Hello
	Failed     What = "failed"    // a socket of the peer itself failed: Err
)

// Entry is one thing that happened between the peer and its partner.
type Entry struct {
	At         time.Time
	What       What
	Connection int // counted from 1; 0 where none is concerned
	Message    contract.Message
	Member     contract.Member
	Hello      contract.Hello
	Note       string
	Err        error
}

func (e Entry) String() string {
	var b strings.Builder
	b.WriteString(string(e.What))
	if e.Connection > 0 {
		fmt.Fprintf(&b, " on connection %d", e.Connection)
	}
	switch {
	case e.Message != nil:
		fmt.Fprintf(&b, ": %s %+v", e.Message.Kind(), e.Message)
	case e.What == Joined:
		fmt.Fprintf(&b, ": %s, XCF address %s, incarnation %d", e.Member.Stack, e.Member.XCF, e.Member.Incarnation)
	case e.What == HelloHeard:
		fmt.Fprintf(&b, ": %s, incarnation %d, sequence %d, leaving %t", e.Hello.Stack, e.Hello.Incarnation, e.Hello.Sequence, e.Hello.Leaving)
	case e.Note != "":
		b.WriteString(": " + e.Note)
	case errors.Is(e.Err, io.EOF):
		b.WriteString(": the partner closed it in order")
	case e.Err != nil:
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (p *Peer) add(e Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.append(e)
}

func (p *Peer) append(e Entry) {
	e.At = time.Now()
	p.record = append(p.record, e)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Record is everything that happened, oldest first.
func (p *Peer) Record() []Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record[:len(p.record):len(p.record)]
}

// Messages are the messages of the partner, oldest first, with the time of each.
func (p *Peer) Messages() []Entry {
	var messages []Entry
	for _, e := range p.Record() {
		if e.What == Received {
			messages = append(messages, e)
		}
	}
	return messages
}

// seek waits for an entry at or after the index from, and returns its index.
func (p *Peer) seek(ctx context.Context, from int, match func(Entry) bool) (int, error) {
	for {
		p.mu.Lock()
		record, changed := p.record, p.changed
		p.mu.Unlock()
		for ; from < len(record); from++ {
			if match(record[from]) {
				return from, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// explain is the error of a wait that came to nothing: what was wanted, and what happened
// since the entry from.
func (p *Peer) explain(ctx context.Context, want string, from int) error {
	record := p.Record()
	var b strings.Builder
	hellos, lines := 0, 0
	for _, e := range record[min(from, len(record)):] {
		if e.What == HelloHeard {
			hellos++
			continue
		}
		fmt.Fprintf(&b, "\n  %8.1fms %s", float64(e.At.Sub(p.started).Microseconds())/1000, e)
		lines++
	}
	switch {
	case lines == 0 && hellos == 0:
		b.WriteString(" nothing, not even a HELLO of the partner")
	case lines == 0:
		fmt.Fprintf(&b, " nothing but %d HELLOs", hellos)
	default:
		fmt.Fprintf(&b, "\n  and %d HELLOs", hellos)
	}
	return &NotToldError{Peer: p.name(), Wanted: want, Came: b.String(), Cause: context.Cause(ctx)}
}
