package vipa

import (
	"maps"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Tables are the tables of a routing stack as Figure 12 reads them: the model that the kernel's
// tables are compared with. The zero value has no self and no entries; use NewTables.
type Tables struct {
	// Self is the XCF address of the routing stack, which may be a target too (I7).
	Self netip.Addr
	// CRT holds the exact entries: connection to the target's XCF address.
	CRT map[contract.Connection]netip.Addr
	// Unique holds the CRT entries with source zero.
	Unique map[netip.AddrPort]netip.Addr
	// DPT holds the current actual targets of each service.
	DPT map[netip.AddrPort]*Selection
}

// Selection is a DPT entry with the state of its selection.
type Selection struct {
	Targets []contract.Target
	// Next is the place in Rotation(Targets) that the next connection takes.
	Next     int
	rotation []int // made when it is first asked for
}

// NewTables returns the empty tables of the routing stack at self.
func NewTables(self netip.Addr) *Tables {
	return &Tables{
		Self:   self,
		CRT:    make(map[contract.Connection]netip.Addr),
		Unique: make(map[netip.AddrPort]netip.Addr),
		DPT:    make(map[netip.AddrPort]*Selection),
	}
}

// Apply makes the change that an action asks of the tables; actions that concern something
// else change nothing. A DPT entry that is put anew begins its rotation anew. A kernel table
// may keep an ended connection's entry for a while longer than the model does.
func (t *Tables) Apply(a Action) {
	switch a := a.(type) {
	case SetTargets:
		if len(a.Targets) == 0 {
			delete(t.DPT, a.Service)
			return
		}
		t.DPT[a.Service] = &Selection{Targets: a.Targets}
	case SetUnique:
		if !a.Target.IsValid() {
			delete(t.Unique, a.Service)
			return
		}
		t.Unique[a.Service] = a.Target
	case AddConnections:
		for _, c := range a.Connections {
			t.CRT[c] = a.Target
		}
	case EndConnections:
		for _, c := range a.Connections {
			if t.CRT[c] == a.Target {
				delete(t.CRT, c)
			}
		}
	case DropTarget:
		maps.DeleteFunc(t.CRT, func(_ contract.Connection, to netip.Addr) bool { return to == a.Target })
		maps.DeleteFunc(t.Unique, func(_ netip.AddrPort, to netip.Addr) bool { return to == a.Target })
	case Withdraw:
		maps.DeleteFunc(t.CRT, func(c contract.Connection, _ netip.Addr) bool { return c.Local.Addr() == a.DVIPA })
	}
}

// next is block 144: the target whose turn it is.
func (s *Selection) next() netip.Addr {
	if s.rotation == nil {
		s.rotation = Rotation(s.Targets)
	}
	target := s.Targets[s.rotation[s.Next%len(s.rotation)]]
	s.Next = (s.Next + 1) % len(s.rotation)
	return target.XCF
}
