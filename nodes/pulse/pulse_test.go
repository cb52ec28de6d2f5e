package pulse

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const limit = 5 * time.Second

func newPulse(t *testing.T) *Pulse {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func within[T any](t *testing.T, c <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(limit):
		t.Fatal("nothing came within ", limit)
	}
	return got
}

// Duties of one interval are called together, in the order in which they were added, and none early.
func TestDutiesFallTogether(t *testing.T) {
	p := newPulse(t)
	const interval = 3 * time.Millisecond
	type call struct {
		duty     int
		at, want time.Time
	}
	calls := make(chan call, 1000)
	for i := range 3 {
		var want time.Time
		p.Add(func(now time.Time) time.Time {
			calls <- call{i, now, want}
			want = p.Next(now, interval)
			return want
		})
	}
	var turns []call
	for len(turns) < 60 {
		turns = append(turns, within(t, calls))
	}
	for i, c := range turns[9:] { // the first turns begin one by one
		if c.duty != i%3 || !c.at.Equal(turns[9+i-i%3].at) {
			t.Fatalf("call %d is of duty %d at %v, want duty %d at %v", i, c.duty, c.at, i%3, turns[9+i-i%3].at)
		}
		if c.at.Before(c.want) {
			t.Errorf("duty %d called %v early", c.duty, c.want.Sub(c.at))
		}
		if c.want.Sub(p.began)%interval != 0 {
			t.Errorf("due %v after the begin, want a multiple of %v", c.want.Sub(p.began), interval)
		}
	}
}

func TestATimerIsSetSoonerAndLater(t *testing.T) {
	p := newPulse(t)
	timer := p.Timer()
	within(t, timer.C)
	begin := time.Now()
	timer.Reset(begin.Add(time.Hour))
	timer.Reset(begin.Add(2 * time.Millisecond))
	if fired := within(t, timer.C); fired.Before(begin.Add(2 * time.Millisecond)) {
		t.Errorf("fired after %v", fired.Sub(begin))
	}
	soon := begin.Add(20 * time.Millisecond)
	timer.Reset(begin.Add(10 * time.Millisecond))
	timer.Reset(soon)
	if fired := within(t, timer.C); fired.Before(soon) {
		t.Errorf("fired %v before it was set to", soon.Sub(fired))
	}
}

// Reset while the firing before is being delivered is not lost.
func TestAResetInItsOwnTurn(t *testing.T) {
	p := newPulse(t)
	timer := p.Timer()
	within(t, timer.C)
	p.mu.Lock()
	fire := timer.d.do
	timer.d.do = func(now time.Time) time.Time {
		timer.Reset(now.Add(time.Millisecond))
		return fire(now)
	}
	p.mu.Unlock()
	timer.Reset(time.Now())
	for range 10 {
		within(t, timer.C)
	}
}

func TestNothingIsCalledOnceItIsRemoved(t *testing.T) {
	p := newPulse(t)
	var mu sync.Mutex
	var called []int
	add := func(n int) (remove func(), first chan bool) {
		first = make(chan bool, 1)
		return p.Add(func(now time.Time) time.Time {
			mu.Lock()
			defer mu.Unlock()
			called = append(called, n)
			select {
			case first <- true:
			default:
			}
			return now
		}), first
	}
	remove, first := add(1)
	_, other := add(2)
	within(t, first)
	within(t, other)
	remove()
	mu.Lock()
	called = nil
	mu.Unlock()
	for range 2 {
		within(t, other)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if slices.Contains(called, 1) {
		t.Error("called after it was removed")
	}
	p.Timer().Reset(time.Now()) // of a pulse that is closed: nothing happens
}
