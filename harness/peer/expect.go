package peer

import (
	"context"
	"fmt"
	"reflect"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Match is a message that a scenario waits for.
type Match struct {
	// Want says in words what is waited for.
	Want string
	OK   func(contract.Message) bool
}

// Is matches one message exactly.
func Is(want contract.Message) Match {
	return Match{
		Want: fmt.Sprintf("%s %+v", want.Kind(), want),
		OK:   func(m contract.Message) bool { return reflect.DeepEqual(m, want) },
	}
}

// Of matches messages of one kind that satisfy the condition, which want puts into words; a
// nil condition takes every message of the kind.
func Of[M contract.Message](want string, condition func(M) bool) Match {
	var kind M
	return Match{
		Want: kind.Kind() + " " + want,
		OK: func(m contract.Message) bool {
			of, ok := m.(M)
			return ok && (condition == nil || condition(of))
		},
	}
}

// Expect waits for a message of the partner that matches, among those after the last one
// that was expected; messages before it are passed over. The error says what came instead.
func (p *Peer) Expect(ctx context.Context, match Match) (contract.Message, error) {
	p.mu.Lock()
	from := p.cursor
	p.mu.Unlock()
	at, err := p.seek(ctx, from, func(e Entry) bool { return e.What == Received && match.OK(e.Message) })
	if err != nil {
		return nil, p.explain(ctx, match.Want, from)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cursor = max(p.cursor, at+1)
	return p.record[at].Message, nil
}

// ExpectNone is nil if until ctx ends no message comes that matches, counted from the last
// one that was expected. What came is not passed over.
func (p *Peer) ExpectNone(ctx context.Context, match Match) error {
	p.mu.Lock()
	from := p.cursor
	p.mu.Unlock()
	at, err := p.seek(ctx, from, func(e Entry) bool { return e.What == Received && match.OK(e.Message) })
	if err != nil {
		return nil
	}
	return &UnexpectedError{Peer: p.name(), Unwanted: match.Want, Entry: p.Record()[at]}
}

// Passed makes Expect look only at what comes from now on.
func (p *Peer) Passed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cursor = len(p.record)
}

// WaitJoined waits until there is an authenticated connection with the partner, and
// returns who the partner is.
func (p *Peer) WaitJoined(ctx context.Context) (contract.Member, error) {
	for from := 0; ; {
		at, err := p.seek(ctx, from, func(e Entry) bool { return e.What == Joined })
		if err != nil {
			return contract.Member{}, p.explain(ctx, "a connection with the partner", 0)
		}
		p.mu.Lock()
		live, joined := p.live, p.record[at]
		p.mu.Unlock()
		if live != nil && live.number == joined.Connection {
			return joined.Member, nil
		}
		from = at + 1
	}
}

// WaitEnded waits until the connection of this moment has ended, and returns why: io.EOF
// where the partner closed it in order, otherwise what the socket says.
func (p *Peer) WaitEnded(ctx context.Context) (cause, err error) {
	return p.waitEnded(ctx, "the end of the connection")
}

func (p *Peer) waitEnded(ctx context.Context, want string) (cause, err error) {
	p.mu.Lock()
	number := p.connections
	p.mu.Unlock()
	if number == 0 {
		return nil, fmt.Errorf("%s waits for %s: %w", p.name(), want, ErrNotJoined)
	}
	at, err := p.seek(ctx, 0, func(e Entry) bool { return e.What == Ended && e.Connection == number })
	if err != nil {
		return nil, p.explain(ctx, want, p.lastJoined())
	}
	return p.Record()[at].Err, nil
}

// lastJoined is the index of the last Joined.
func (p *Peer) lastJoined() int {
	record := p.Record()
	for at := len(record) - 1; at >= 0; at-- {
		if record[at].What == Joined {
			return at
		}
	}
	return 0
}

// WaitRefused waits until a connection did not come to be, counted from the start of the
// peer, and returns why.
func (p *Peer) WaitRefused(ctx context.Context) (cause, err error) {
	at, err := p.seek(ctx, 0, func(e Entry) bool { return e.What == Refused })
	if err != nil {
		return nil, p.explain(ctx, "that its connection is refused", 0)
	}
	return p.Record()[at].Err, nil
}

// WaitHello waits for a HELLO of the partner that satisfies the condition, looking at the
// last one heard and those to come.
func (p *Peer) WaitHello(ctx context.Context, condition func(contract.Hello) bool) (contract.Hello, error) {
	p.mu.Lock()
	last, from := p.partner, len(p.record)
	p.mu.Unlock()
	if last.Incarnation != 0 && condition(last) {
		return last, nil
	}
	at, err := p.seek(ctx, from, func(e Entry) bool { return e.What == HelloHeard && condition(e.Hello) })
	if err != nil {
		return contract.Hello{}, p.explain(ctx, "a HELLO of the partner", from)
	}
	return p.Record()[at].Hello, nil
}
