package routing

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// heardWithin is the time, in hellos, within which a neighbour of OSPF is heard if there is one.
	heardWithin = 2
	// adjacentWithin is the time, in Config.Dead, within which those that were heard are adjacent.
	adjacentWithin = 2
	// againAfter is the time until a router of OSPF tells anew what links it has (MinLSInterval, RFC 2328 appendix B): after an
	// adjacency, that it is one.
	againAfter = 5 * time.Second
	// forgottenWithin is the time, in Config.BFD, after which a neighbour has lost the session with a process that
	// ended: the missing packets, and one for its being late.
	forgottenWithin = missing + 1
	// neighbourPoll is the time between two looks at neighbours; each asks BIRD up to three questions, and OSPF takes seconds.
	neighbourPoll = 100 * time.Millisecond
)

// awaitNeighbours waits until the neighbours take this daemon for another than the one before. One of OSPF has no way
// here before both have told of the link between them, which can be seconds after they have exchanged the whole
// database; one of RIP believes what it is told at once, and forgets it again when the BFD session with a process runs
// out that was killed shortly before. Until then the DVIPAs had better stay where they are. It waits neither for what is not heard nor for ever. An error is the end of BIRD.
func (d *Daemon) awaitNeighbours() error {
	begin := time.Now()
	tick := time.NewTicker(neighbourPoll)
	defer tick.Stop()
	for !d.known(time.Since(begin)) {
		select {
		case err := <-d.died:
			return err
		case <-tick.C:
		}
	}
	return nil
}

// known says whether the neighbours know this daemon, or are not waited for any longer.
func (d *Daemon) known(took time.Duration) bool {
	if d.config.Protocol == RIP {
		// A session that is not down any more has heard of a neighbour that has none with the process before. As long
		// as nothing is advertised, the neighbour may have none at all.
		sessions, _ := d.states("show bfd sessions")
		return took >= forgottenWithin*d.config.BFD || len(sessions) > 0 && !slices.Contains(sessions, "Down")
	}
	heard, linked := false, true
	for _, c := range d.channels(nil) {
		neighbours, _ := d.states("show ospf neighbors ospf_" + c.Net)
		is, _ := d.linked(c)
		heard, linked = heard || len(neighbours) > 0, linked && is
	}
	if linked {
		return true
	}
	late := took >= adjacentWithin*d.config.Dead+againAfter || !heard && took >= heardWithin*d.config.Hello
	if late {
		d.config.Log.Warn("no router has a way here yet", "after", took.Round(time.Millisecond), "neighbours", heard)
	}
	return late
}

// states are those of a table that BIRD prints, with a neighbour's address or router ID in the first column.
func (d *Daemon) states(command string) ([]string, error) {
	const column = 2
	rows, err := ask(d.config.controlPath(), command, answerLimit)
	if err != nil {
		return nil, err
	}
	var states []string
	for _, row := range rows {
		words := strings.Fields(row)
		if len(words) <= column {
			continue
		}
		if _, err := netip.ParseAddr(words[0]); err == nil {
			states = append(states, words[column])
		}
	}
	return states, nil
}
