package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// dvipa is the record of one DVIPA: the stack's own definitions, what the owner told, and the
// stack's roles. A record without any of these is dropped.
type dvipa struct {
	address netip.Addr

	define     *Define     // own VIPADEFine
	rank       uint8       // own VIPABackup; 0: not a backup
	distribute *Distribute // own VIPADISTribute

	// listed is what the list of its owner (this stack's own list included) said last. It
	// outlives the owner: the stack goes on as a target until another list says otherwise.
	listed *listed
	// kept is the list a backup keeps for takeover (block 134).
	kept *contract.DVIPA
	// routing is set while this stack is the routing stack.
	routing *routing

	// active: it is an address of this stack, internal or advertised.
	active bool
	// held are the connections of a stack that is no candidate: the address stays until the
	// last has ended (I16). Empty for a candidate.
	held map[contract.Connection]struct{}
}

// listed is one DVIPA of a VIPAList, and what this stack told its owner in return.
type listed struct {
	owner     contract.Member
	entry     contract.DVIPA
	candidate bool // block 124
	// services counts the listening sockets that take part, port by port (I9).
	services map[uint16]int
}

// dvipa returns the record of an address, making it where there is none.
func (s *Stack) dvipa(address netip.Addr) *dvipa {
	d, ok := s.dvipas[address]
	if !ok {
		d = &dvipa{address: address}
		s.dvipas[address] = d
	}
	return d
}

// settle makes the DVIPA an address of this stack, or ends that, as its roles demand, and
// drops a record that nothing needs.
func (s *Stack) settle(d *dvipa) {
	target := d.listed != nil && d.listed.candidate
	switch wanted := d.routing != nil || target || len(d.held) > 0; {
	case wanted && !d.active:
		d.active = true
		s.do(Activate{DVIPA: d.address})
	case !wanted && d.active:
		d.active = false
		s.do(Deactivate{DVIPA: d.address})
	}
	defined := d.define != nil || d.rank > 0 || d.distribute != nil
	if !defined && d.listed == nil && d.kept == nil && !d.active {
		delete(s.dvipas, d.address)
	}
}

// clusterPorts says whether the stack's own definitions ask for cluster-wide ports; the
// keyword may stand in either statement (T23).
func (d *dvipa) clusterPorts() bool {
	return d.define != nil && d.define.ClusterPorts || d.distribute != nil && d.distribute.ClusterPorts
}

// distribution is what the stack's own definitions say, nil without VIPADISTribute.
func (d *dvipa) distribution() *contract.Distribution {
	if d.distribute == nil {
		return nil
	}
	return &d.distribute.Distribution
}
