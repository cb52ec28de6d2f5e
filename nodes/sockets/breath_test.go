package sockets

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBreath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		is            breath
		events        int
		within, roomy bool
		want          breath
	}{
		{"first", 0, 1, false, true, shortBreath},
		{"first of many", 0, manyEvents, false, true, shortBreath},
		{"load", shortBreath, manyEvents, false, true, 2 * shortBreath},
		{"load that lasts", longBreath, 10 * manyEvents, false, true, longBreath},
		{"load is over", longBreath, manyEvents - 1, false, true, shortBreath},
		{"few, but the breath is not over", longBreath, 1, true, true, longBreath},
		{"load with little room", longBreath, 10 * manyEvents, false, false, shortBreath},
	} {
		if got := test.is.after(test.events, test.within, test.roomy); got != test.want {
			t.Errorf("%s: breath of %v after one of %v, want %v", test.name,
				time.Duration(got), time.Duration(test.is), time.Duration(test.want))
		}
	}
}

// The connections that were gathered are asked about after a drain, which may come within a breath.
func TestDrainWithinABreath(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m, err := NewMonitor(MonitorConfig{Deliver: func(Event) {}, Relevant: relevantInTests, Pulse: newPulse(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	l := listenHere(t, serverAt)
	c := connect(t, clientAt, serverAt)
	accepted, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	c.reset()
	unix.Close(accepted)
	drain := func() {
		t.Helper()
		if err := m.takeDestroyed(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the end of the connection is drained", func() bool { drain(); return len(m.gathered) > 0 })
	if !m.resting {
		t.Fatal("the breath after an event did not begin")
	}
	eventually(t, "a drain of nothing lets the breath go on", func() bool {
		next := time.Now().Add(time.Hour)
		m.nextDrain = next
		drain()
		return m.resting && m.nextDrain.Equal(next)
	})
	eventually(t, "a drain of nothing after the breath sets the alarm", func() bool {
		m.nextDrain = time.Now()
		drain()
		return !m.resting
	})
}
