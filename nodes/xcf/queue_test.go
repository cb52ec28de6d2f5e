package xcf

import (
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// The room of one partner is its own, and who joins or is lost needs none.
func TestQueueHoldsUpOnlyWhoHasTooMuchWaiting(t *testing.T) {
	t.Parallel()
	q := newQueue()
	var busy, other inbox
	put := func(from *inbox) <-chan bool {
		done := make(chan bool, 1)
		go func() { done <- q.putReceived(from, Received{Message: contract.EndOfList{}}) }()
		return done
	}
	for range inboxLimit {
		if !<-put(&busy) {
			t.Fatal("refused")
		}
	}
	waits := put(&busy)
	if !<-put(&other) {
		t.Error("another partner was refused")
	}
	q.put(Joined{})
	select {
	case <-waits:
		t.Fatalf("more than %d messages wait", inboxLimit)
	default:
	}
	if events := q.take(); len(events) != inboxLimit+2 {
		t.Errorf("%d events, want %d", len(events), inboxLimit+2)
	}
	q.taken(&busy)
	if !<-waits {
		t.Error("refused although there is room again")
	}

	waits = put(&busy)
	q.putLost(&busy, Lost{Reason: Silent})
	if <-waits {
		t.Error("a message came after Lost")
	}
	if <-put(&busy) {
		t.Error("a message came after Lost")
	}
	q.close()
	if <-put(&other) {
		t.Error("a message came after the end")
	}
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	payload := make([]byte, 1<<20)
	n := 0
	for o.put(payload) {
		n++
	}
	if want := outboxLimit / (len(payload) + overhead); n != want {
		t.Errorf("%d messages of %d bytes fit, want %d", n, len(payload), want)
	}
	for want := n; want > 0; want-- {
		if payloads, more := o.take(); len(payloads) != 1 || !more {
			t.Fatalf("%d messages, more %t; want one of %d", len(payloads), more, want)
		}
	}
	for range 3 {
		o.put([]byte{1})
	}
	o.finish()
	o.put([]byte{2})
	if payloads, more := o.take(); len(payloads) != 3 || more {
		t.Errorf("%d messages, more %t; want the last 3 at once", len(payloads), more)
	}
	if o.size != 0 {
		t.Errorf("%d bytes counted of nothing", o.size)
	}
}
