// Package pulse does what a daemon does all the time, such as saying that it lives, by one timer of the kernel. Each
// timer of the Go runtime wakes the poller twice, as epoll counts in milliseconds, and the runtime's monitor thread
// besides, as does each system call that is not raw: with three loops of 20 ms that is 400 changes of threads a second,
// which is most of what an idle stack costs.
package pulse

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Pulse calls duties from one goroutine. Its methods may be called from any goroutine. It needs no privilege.
type Pulse struct {
	began time.Time
	timer *os.File
	raw   syscall.RawConn
	ended chan struct{}

	turn   sync.Mutex // held while duties are called
	mu     sync.Mutex
	duties []*duty
	armed  time.Time // when the timer ends; never: it is off
}

type duty struct {
	do func(now time.Time) time.Time
	at time.Time
}

// never is later than any duty.
var never = time.Unix(1<<40, 0)

// New begins a pulse, which Close ends.
func New() (*Pulse, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", os.NewSyscallError("timerfd_create", err))
	}
	p := &Pulse{began: time.Now(), timer: os.NewFile(uintptr(fd), "timer"), ended: make(chan struct{}), armed: never}
	if p.raw, err = p.timer.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a timer: %w", err), p.timer.Close())
	}
	go p.run()
	return p, nil
}

// Close ends the pulse: no duty is called any more when it returns.
func (p *Pulse) Close() error {
	err := p.timer.Close()
	<-p.ended
	return err
}

// Add has a duty called at once, and then each time when it said it wants to be: those that are due together in the
// order in which they were added. It must not wait. None is called any more once remove has returned, which a duty
// itself must not call.
func (p *Pulse) Add(do func(now time.Time) (next time.Time)) (remove func()) {
	d := &duty{do: do, at: p.began}
	p.add(d)
	return func() { p.remove(d) }
}

func (p *Pulse) add(d *duty) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.duties = append(p.duties, d)
	p.arm()
}

func (p *Pulse) remove(d *duty) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.duties = slices.DeleteFunc(p.duties, func(other *duty) bool { return other == d })
}

// Next is the next moment after now of those that are an interval apart. Duties of the same interval fall
// together.
func (p *Pulse) Next(now time.Time, interval time.Duration) time.Time {
	return now.Add(interval - now.Sub(p.began)%interval)
}

// A Timer is as that of package time.
type Timer struct {
	C chan time.Time // of capacity 1
	p *Pulse
	d *duty
}

// Timer makes a timer that fires at once.
func (p *Pulse) Timer() *Timer {
	t := &Timer{C: make(chan time.Time, 1), p: p, d: &duty{at: p.began}}
	t.d.do = func(now time.Time) time.Time {
		select {
		case t.C <- now:
		default:
		}
		return never
	}
	p.add(t.d)
	return t
}

// Stop takes the timer from its pulse.
func (t *Timer) Stop() { t.p.remove(t.d) }

// Reset has the timer fire at a time, and not when it was to before. C may still have an earlier firing.
func (t *Timer) Reset(at time.Time) {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.d.at = at
	t.p.arm()
}

func (p *Pulse) run() {
	defer close(p.ended)
	var ends [8]byte // how often the timer has ended
	for {
		err := p.raw.Read(func(fd uintptr) bool {
			_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&ends)), unsafe.Sizeof(ends))
			return errno != unix.EAGAIN
		})
		if err != nil {
			return // closed
		}
		p.callDue()
	}
}

// callDue is one turn.
func (p *Pulse) callDue() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = never
	now := time.Now()
	for _, d := range slices.Clone(p.duties) {
		if d.at.After(now) {
			continue
		}
		d.at = never // Reset may come meanwhile
		p.mu.Unlock()
		next := d.do(now)
		p.mu.Lock()
		if next.Before(d.at) {
			d.at = next
		}
	}
	p.arm()
}

// arm has the timer end when the first duty is due, if it would end later.
func (p *Pulse) arm() {
	first := never
	for _, d := range p.duties {
		if d.at.Before(first) {
			first = d.at
		}
	}
	if !first.Before(p.armed) {
		return
	}
	p.armed = first
	// Zero would turn it off.
	end := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, time.Until(first))))}
	// It fails when the pulse is closed.
	_ = p.raw.Control(func(fd uintptr) {
		unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&end)), 0, 0, 0)
	})
}
