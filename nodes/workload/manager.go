package workload

import (
	"math"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Tuning constants of this implementation.
const (
	// Levels is how finely systems are told apart: the freest is at Levels, one without anything to
	// give at 1.
	Levels = 16
	// alike is the part of the freest system's room from which another counts as just as free: among
	// systems that do little, round robin stays exact.
	alike = 0.9
	// reserve is the part of its capacity that even a system without anything free is taken to have:
	// when all are busy, small differences would otherwise decide everything.
	reserve = 0.05
	// remember is how much of a new measurement the one before still counts.
	remember = 0.5
)

// Manager makes weights of what systems report. It has no clock: time is told to it. It is not safe for
// concurrent use.
//
// A system is at a level, by its room (what is free of its capacity, and a reserve) beside the room of the freest
// of the plex. The weight of a target is the weight that its definition gives it, times its level. More room never means a lower level; a room that
// wavers by less than one level never changes it.
type Manager struct {
	patience time.Duration
	systems  map[netip.Addr]*system
}

// system is what one system has reported.
type system struct {
	room  float64 // thousandths of processors, smoothed
	at    time.Time
	level int // 0 before the first Level
}

// NewManager returns a manager without reports. A report is forgotten after patience.
func NewManager(patience time.Duration) *Manager {
	return &Manager{patience: patience, systems: make(map[netip.Addr]*system)}
}

// Report takes in what the system of the stack at XCF address xcf reports, in thousandths of processors.
func (m *Manager) Report(xcf netip.Addr, at time.Time, capacity, load uint32) {
	room := float64(capacity-min(load, capacity)) + reserve*float64(capacity)
	known := m.systems[xcf]
	if known == nil {
		m.systems[xcf] = &system{room: room, at: at}
		return
	}
	known.room = remember*known.room + (1-remember)*room
	known.at = at
}

// Lost forgets a system.
func (m *Manager) Lost(xcf netip.Addr) { delete(m.systems, xcf) }

// Level compares the systems by what they have reported, and forgets those that report no more.
func (m *Manager) Level(now time.Time) {
	freest := 0.0
	for xcf, s := range m.systems {
		if now.Sub(s.at) > m.patience {
			delete(m.systems, xcf)
			continue
		}
		freest = max(freest, s.room)
	}
	for _, s := range m.systems {
		s.level = level(s.level, s.room, freest)
	}
}

// level is the level of a system that was at before, 0 for one that is new. It goes no farther than
// the room makes it.
func level(before int, room, freest float64) int {
	exact := float64(Levels)
	if room < alike*freest {
		exact = max(1, Levels*room/(alike*freest))
	}
	switch {
	case before == 0:
		return int(math.Round(exact))
	case exact >= float64(before+1):
		return int(math.Floor(exact))
	case exact <= float64(before-1):
		return int(math.Ceil(exact))
	}
	return before
}

// Weights are those of targets by XCF address, each 1 to contract.MaxWeight; where all are at one level, those
// that they come with. A target that does not report counts as the freest does.
func (m *Manager) Weights(targets []contract.Target) map[netip.Addr]uint32 {
	weights := make(map[netip.Addr]uint32, len(targets))
	least, most := Levels, 1
	for _, t := range targets {
		least, most = min(least, m.levelOf(t.XCF)), max(most, m.levelOf(t.XCF))
	}
	whole := uint64(1)
	for _, t := range targets {
		whole = max(whole, m.weight(t, least == most))
	}
	for _, t := range targets {
		w := m.weight(t, least == most)
		if whole > contract.MaxWeight {
			w = max(1, w*contract.MaxWeight/whole)
		}
		weights[t.XCF] = uint32(w)
	}
	return weights
}

// weight is what a target comes with, times its level unless all are alike.
func (m *Manager) weight(t contract.Target, alike bool) uint64 {
	own := uint64(max(t.Weight, 1))
	if alike {
		return own
	}
	return own * uint64(m.levelOf(t.XCF))
}

func (m *Manager) levelOf(xcf netip.Addr) int {
	if s := m.systems[xcf]; s != nil && s.level > 0 {
		return s.level
	}
	return Levels
}
