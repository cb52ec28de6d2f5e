package routing

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// openLimit bounds the start of BIRD, answerLimit one of its answers.
	openLimit   = 5 * time.Second
	answerLimit = 2 * time.Second
	// closeLimit bounds two steps of Close: that BIRD takes the last change, and its end.
	closeLimit = 60 * time.Millisecond
	// farewell is the time until BIRD's RIP tells a change (proto/rip/rip.c, rip_iface_kick_timer), unless
	// it told another within half a Config.Hello; its shutdown tells nothing.
	farewell = 120 * time.Millisecond
	// withdrawalRests is the time for which OSPF keeps what was withdrawn: one that is advertised anew meanwhile
	// changes its cost, and leaves no gap. Who owns the DVIPA by then has a lower cost.
	withdrawalRests = 500 * time.Millisecond
	// takebackTakes is the most that it takes on a machine that is loaded until a stack that waited for an adjacency has taken back
	// what it lost with it. Until then it stays advertised with its old epoch, which costs more than the newer of whoever has it.
	takebackTakes = 2 * time.Second
	// retry is the pause before a change is tried again that did not reach BIRD.
	retry = 50 * time.Millisecond

	currentNamespace = "/proc/thread-self/ns/net"
)

// A Daemon is a stack's voice in a routing protocol. Its methods may be called at the same time.
type Daemon struct {
	config    Config
	v4, v6    bool
	namespace *os.File
	discards  *discards

	mu      sync.Mutex
	owned   map[netip.Addr]ownership
	process *os.Process // while it runs

	changed chan struct{} // holds one token while owned is newer than what BIRD was told
	died    chan error    // received from while Open waits
	opened  chan struct{} // closed when Open has waited enough
	closing chan struct{}
	close   sync.Once
	ended   chan struct{} // closed when supervise has returned
	told    chan struct{} // closed when converge has returned

	spoken      map[string]bool // the families in which there ever was an adjacency, in BIRD's words
	considering sync.Mutex      // held while adjacency changes and that is told
	adjacency   adjacencyWatch
	adjacent    time.Time // when it became Adjacent last; zero: never
}

// Open starts BIRD in the network namespace of the calling thread and returns when its neighbours do not take it
// for an earlier process any more, so that what is advertised stays: with OSPF after twice Config.Hello where none is heard
// and twice Config.Dead and 5 seconds at most, with RIP after six times Config.BFD at most. What an earlier process left in
// Config.Dir goes. For the privileges see the package. A configuration that BIRD does not take is told in its own words.
func Open(c Config) (_ *Daemon, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open routing protocol %s: %w", c.Protocol, err)
		}
	}()
	if c, err = c.check(); err != nil {
		return nil, err
	}
	if c.Program, err = exec.LookPath(c.Program); err != nil {
		return nil, fmt.Errorf("find bird: %w; install BIRD 2 (Debian: bird2) or put it into PATH", err)
	}
	d := &Daemon{
		config: c, owned: map[netip.Addr]ownership{},
		changed: make(chan struct{}, 1), died: make(chan error), opened: make(chan struct{}), closing: make(chan struct{}),
		ended: make(chan struct{}), told: make(chan struct{}), spoken: map[string]bool{},
	}
	if d.v4, d.v6, err = families(c.Interfaces); err != nil {
		return nil, err
	}
	if err := d.makeDir(); err != nil {
		return nil, err
	}
	if d.namespace, err = os.Open(currentNamespace); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.Dir))
	}
	if d.discards, err = openDiscards(c.Interfaces); err != nil {
		return nil, errors.Join(err, d.namespace.Close(), os.RemoveAll(c.Dir))
	}
	go d.supervise()
	err = d.awaitAnswer()
	if err == nil {
		err = d.awaitNeighbours()
	}
	if err != nil {
		close(d.closing)
		return nil, errors.Join(err, d.end())
	}
	close(d.opened)
	go d.converge()
	if c.Protocol == OSPF {
		d.beginAdjacency()
		go d.watchAdjacency()
	}
	return d, nil
}

// makeDir makes the run directory with a configuration in it, and without a socket.
func (d *Daemon) makeDir() error {
	if err := os.Mkdir(d.config.Dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make run directory: %w", err)
	}
	if err := os.Remove(d.config.controlPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove control socket of an earlier process: %w", err)
	}
	return d.write(d.render(nil))
}

// awaitAnswer waits until BIRD answers or ends.
func (d *Daemon) awaitAnswer() error {
	limit := time.NewTimer(openLimit)
	defer limit.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := ask(d.config.controlPath(), "show status", answerLimit)
		if err == nil {
			return nil
		}
		select {
		case err := <-d.died:
			return err
		case <-limit.C:
			return fmt.Errorf("bird does not answer after %s: %w", openLimit, err)
		case <-tick.C:
		}
	}
}

// Advertise tells the network that this stack owns the DVIPA, given with the length of its mask,
// since an epoch. Again for the same DVIPA: its mask or epoch has changed. It does not wait for BIRD
// or the network; what BIRD refuses is in the log.
func (d *Daemon) Advertise(dvipa netip.Prefix, epoch uint64) {
	d.change(func() { d.owned[dvipa.Addr()] = ownership{prefix: dvipa, epoch: epoch} })
}

// Withdraw ends that, with OSPF after half a second, and two seconds of adjacency, unless it is advertised again: within
// seconds of a withdrawal that has gone out routers refuse to hear of the same again (RFC 2328, MinLSArrival and RxmtInterval),
// and one that cannot go out keeps BIRD from telling it anew. Where there never was a neighbour, half a second it is too. With
// RIP it ends at once, since there the older one can cost less than the newer (see Cost). A DVIPA that is not advertised is none
// to withdraw.
func (d *Daemon) Withdraw(dvipa netip.Addr) {
	if d.config.Protocol == RIP {
		d.change(func() { delete(d.owned, dvipa) })
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o, advertised := d.owned[dvipa]
	if !advertised {
		return
	}
	o.withdrawn = time.Now()
	d.owned[dvipa] = o
	d.withdrawRested(dvipa, o)
}

// withdrawRested ends what was withdrawn when it has rested.
func (d *Daemon) withdrawRested(dvipa netip.Addr, o ownership) {
	time.AfterFunc(withdrawalRests, func() {
		switch {
		case d.isClosing():
		case !d.hasSettled():
			d.withdrawRested(dvipa, o)
		default:
			d.change(func() {
				if d.owned[dvipa] == o {
					delete(d.owned, dvipa)
				}
			})
		}
	})
}

func (d *Daemon) change(what func()) {
	d.mu.Lock()
	what()
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default: // whoever takes the token sees this change too
	}
}

// Close withdraws everything, ends BIRD and removes the run directory and the rules. It takes at
// most 0.25 seconds.
func (d *Daemon) Close() error {
	var failed error
	d.close.Do(func() {
		close(d.closing)
		d.awaitConsidered()
		<-d.told
		if err := d.tell(nil, closeLimit); err != nil {
			d.config.Log.Warn("not withdrawn in order", "error", err)
		} else if d.config.Protocol == RIP {
			time.Sleep(farewell)
		}
		failed = d.end()
	})
	return failed
}

// end ends BIRD and takes away what was made for it.
func (d *Daemon) end() error {
	d.signal(unix.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(closeLimit):
		d.signal(unix.SIGKILL)
		<-d.ended
	}
	return errors.Join(d.discards.close(), os.RemoveAll(d.config.Dir))
}

// converge makes BIRD tell what is owned, whenever that changes.
func (d *Daemon) converge() {
	defer close(d.told)
	quiet := false // trouble that goes on is told once
	for {
		select {
		case <-d.closing:
			return
		case <-d.changed:
		}
		d.mu.Lock()
		owned := maps.Clone(d.owned)
		d.mu.Unlock()
		err := d.tell(owned, answerLimit)
		if err != nil && !quiet {
			d.config.Log.Error("not advertised as decided", "error", err)
		}
		var refused *RefusedError
		if quiet = err != nil && !errors.As(err, &refused); !quiet {
			continue // what was refused would be again, until something changes
		}
		select {
		case <-d.closing:
			return
		case <-time.After(retry):
			d.change(func() {})
		}
	}
}

// tell writes the configuration and has BIRD read it.
func (d *Daemon) tell(owned map[netip.Addr]ownership, limit time.Duration) error {
	prefixes := masks(owned)
	if err := d.discards.add(prefixes); err != nil {
		return err
	}
	if err := d.write(d.render(owned)); err != nil {
		return err
	}
	if _, err := ask(d.config.controlPath(), "configure", limit); err != nil {
		return err
	}
	return d.discards.keep(prefixes)
}

// write replaces the configuration in one step.
func (d *Daemon) write(text string) error {
	path := d.config.configPath()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write configuration of bird: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write configuration of bird: %w", err)
	}
	return nil
}
