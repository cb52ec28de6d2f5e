package routing

import (
	"errors"
	"os"
	"slices"
	"strings"
	"time"
)

// Adjacency says whether routers hear what a Daemon advertises. With RIP, which has no adjacencies, they always do.
type Adjacency uint8

const (
	// Adjacent: a router has a way to this stack by OSPF, in each family that it ever had one in.
	Adjacent Adjacency = iota
	// Missed: since less than a second or so that is not so, or not yet for long enough to rely on.
	Missed
	// Lost: it has not been so for longer. The neighbours of all stacks that lost the same router have been Missed by now.
	Lost
)

func (a Adjacency) String() string {
	return [...]string{Adjacent: "adjacent", Missed: "missed", Lost: "lost"}[a]
}

const (
	// watchEvery is the time between two looks at what OSPF has found.
	watchEvery = 200 * time.Millisecond
	// repeated is the time within which a neighbour has all that OSPF told it when an adjacency began. Of two changes of the same it refuses the
	// one within a second of the other (RFC 2328, MinLSArrival), such as how to reach an interface that was down (RFC 5340,
	// link-LSA); that is told again after two seconds ("retransmit"), and BIRD calculates its ways a second later ("tick").
	repeated = 3200 * time.Millisecond
	// lostAfter is how long there is no adjacency until it counts as Lost. Stacks that lose the same router notice it
	// within one interval of BFD and one of watchEvery of one another, unless it is by the dead interval of OSPF.
	lostAfter = time.Second
	// stalledAfter is the time, in Config.BFD, without a look after which a neighbour may have given this stack up, which was stopped:
	// one missing packet less than it takes.
	stalledAfter = missing - 1
	// missing is the number of packets of BFD that are missing when a neighbour is lost.
	missing = 5
)

// An adjacencyWatch makes an Adjacency of what is seen.
type adjacencyWatch struct {
	is Adjacency
	// linked is what was seen at the last look, at seen; since is when it began to be so, or was doubted last.
	linked      bool
	since, seen time.Time
	// settles is how long it has to be so to be relied on; stalls the time without a look that makes it doubtful.
	settles, stalls time.Duration
}

// look takes in what is seen now.
func (w *adjacencyWatch) look(linked bool, now time.Time) {
	if now.Sub(w.seen) >= w.stalls {
		w.doubt(now)
	}
	if linked != w.linked {
		w.since = now
	}
	w.linked, w.seen = linked, now
	switch lasts := now.Sub(w.since); {
	case linked && lasts >= w.settles:
		w.is = Adjacent
	case !linked && lasts >= lostAfter:
		w.is = Lost
	case !linked && w.is == Adjacent:
		w.is = Missed
	}
}

// doubt: what was seen may be no more.
func (w *adjacencyWatch) doubt(now time.Time) {
	w.since = now
	if w.is == Adjacent {
		w.is = Missed
	}
}

// Doubt says that the neighbours may have been lost, as those are whose link goes down.
func (d *Daemon) Doubt() {
	if d.config.Protocol == OSPF {
		d.consider(d.adjacency.doubt)
	}
}

// consider tells of what changes, as long as the Daemon is open.
func (d *Daemon) consider(what func(now time.Time)) {
	d.considering.Lock()
	defer d.considering.Unlock()
	if d.isClosing() {
		return
	}
	before := d.adjacency.is
	what(time.Now())
	is := d.adjacency.is
	if is == before {
		return
	}
	if is == Adjacent {
		d.adjacent = time.Now()
	}
	d.config.Log.Info("neighbours of the routing protocol", "adjacency", is)
	if d.config.Changed != nil {
		d.config.Changed(is)
	}
}

// hasSettled says whether what is told is heard, and since long enough for who waited for that to have had its say; or never was.
func (d *Daemon) hasSettled() bool {
	d.considering.Lock()
	defer d.considering.Unlock()
	return d.adjacent.IsZero() || d.adjacency.is == Adjacent && time.Since(d.adjacent) >= takebackTakes
}

// beginAdjacency is how it is when Open returns.
func (d *Daemon) beginAdjacency() {
	linked, _ := d.linkedEverywhere()
	now := time.Now()
	d.adjacency = adjacencyWatch{
		linked: linked, since: now, seen: now,
		settles: max(repeated, forgottenWithin*d.config.BFD), stalls: max(stalledAfter*d.config.BFD, 2*watchEvery),
	}
	if linked {
		d.adjacent = now
	} else {
		d.Doubt()
	}
}

// watchAdjacency looks at it until the Daemon closes.
func (d *Daemon) watchAdjacency() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.closing:
			return
		case <-tick.C:
		}
		linked, err := d.linkedEverywhere()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue // a daemon that is too busy to answer keeps its neighbours, or not
		}
		d.consider(func(now time.Time) { d.adjacency.look(linked, now) })
	}
}

// linkedEverywhere: OSPF is linked in each family that it ever was linked in, at least one.
func (d *Daemon) linkedEverywhere() (bool, error) {
	some, all := false, true
	for _, c := range d.channels(nil) {
		linked, err := d.linked(c)
		if err != nil {
			return false, err
		}
		d.spoken[c.Net] = d.spoken[c.Net] || linked
		some, all = some || linked, all && (linked || !d.spoken[c.Net])
	}
	return some && all, nil
}

// linked says whether OSPF has a neighbour with the same database, in which this daemon and the network that both are in name each
// other: the neighbour then has a way here. What ways this daemon finds does not say that, for BIRD may leave some out
// that led through an interface which has been down since.
func (d *Daemon) linked(c channel) (bool, error) {
	instance := string(d.config.Protocol) + "_" + c.Net
	neighbours, err := d.states("show ospf neighbors " + instance)
	if err != nil || !slices.ContainsFunc(neighbours, func(state string) bool { return strings.HasPrefix(state, "Full/") }) {
		return false, err
	}
	rows, err := ask(d.config.controlPath(), "show ospf state all "+instance, answerLimit)
	return inNetwork(rows, d.config.RouterID.String()), err
}

// inNetwork says whether in a database that BIRD prints a router and a network name each other. A line that is indented by one tab
// names a router or a network, those below by two what it tells of.
func inNetwork(database []string, router string) bool {
	var of []string
	told, has := map[string]bool{}, map[string]bool{} // by the router, and of it
	for _, row := range database {
		words := strings.Fields(row)
		switch below := strings.HasPrefix(row, "\t\t"); {
		case len(words) < 2:
		case !below:
			of = words
		case of[0] == "router" && of[1] == router && words[0] == "network":
			told[words[1]] = true
		case of[0] == "network" && words[0] == "router" && words[1] == router:
			has[of[1]] = true
		}
	}
	for network := range told {
		if has[network] {
			return true
		}
	}
	return false
}

// awaitConsidered returns when no change of adjacency is being told.
func (d *Daemon) awaitConsidered() {
	d.considering.Lock()
	defer d.considering.Unlock()
}
