package contract

import (
	"fmt"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

func (d *decoder) portClaim(wire *xcfpb.PortClaim) PortClaim {
	m := PortClaim{
		ID: d.nonzero("id", wire.GetId()), DVIPA: d.own("dvipa", wire.GetDvipa()), XCF: d.own("xcf_address", wire.GetXcfAddress()),
		Unique: wire.GetUnique(), Epoch: d.nonzero("epoch", wire.GetEpoch()),
	}
	switch {
	case wire.GetPort() != 0:
		m.Port = d.port("port", wire.GetPort())
	case !m.Unique:
		d.fail("unique", "false, want true with port 0 (I15)")
	}
	return m
}

func (d *decoder) portAnswer(wire *xcfpb.PortAnswer) PortAnswer {
	m := PortAnswer{ID: d.nonzero("id", wire.GetId()), Outcome: PortOutcome(wire.GetOutcome()), Holder: wire.GetHolder()}
	granted, named, nameless := false, false, false
	switch wire.GetOutcome() {
	case xcfpb.PortOutcome_PORT_OUTCOME_GRANTED:
		granted, nameless = true, true
	case xcfpb.PortOutcome_PORT_OUTCOME_IN_USE:
		named = true
	case xcfpb.PortOutcome_PORT_OUTCOME_NONE_LEFT:
		nameless = true
	case xcfpb.PortOutcome_PORT_OUTCOME_BUSY:
	default:
		d.fail("outcome", "%d, want 1 (granted), 2 (in use), 3 (none left) or 4 (busy)", wire.GetOutcome())
	}
	switch {
	case granted:
		m.Port = d.port("port", wire.GetPort())
	case wire.GetPort() != 0:
		d.fail("port", "%d, want 0 with %s", wire.GetPort(), wire.GetOutcome())
	}
	switch {
	case nameless && m.Holder != "":
		d.fail("holder", "%q, want none with %s", m.Holder, wire.GetOutcome())
	case named || m.Holder != "":
		d.name("holder", m.Holder, MaxName)
	}
	return m
}

func (d *decoder) portRelease(wire *xcfpb.PortRelease) PortRelease {
	m := PortRelease{
		DVIPA: d.own("dvipa", wire.GetDvipa()), XCF: d.own("xcf_address", wire.GetXcfAddress()),
		Rest: wire.GetRest(), Epoch: d.nonzero("epoch", wire.GetEpoch()),
	}
	if d.count("ports", len(wire.GetPorts()), 1, MaxPorts) {
		m.Ports = d.ports("ports", wire.GetPorts(), make(map[uint16]bool))
	}
	return m
}

func (d *decoder) portsHeld(wire *xcfpb.PortsHeld) PortsHeld {
	m := PortsHeld{
		DVIPA: d.own("dvipa", wire.GetDvipa()), XCF: d.own("xcf_address", wire.GetXcfAddress()),
		Epoch: d.nonzero("epoch", wire.GetEpoch()),
	}
	if d.count("shared, unique and resting", len(wire.GetShared())+len(wire.GetUnique())+len(wire.GetResting()), 1, MaxPorts) {
		seen := make(map[uint16]bool)
		m.Shared = d.ports("shared", wire.GetShared(), seen)
		m.Unique = d.ports("unique", wire.GetUnique(), seen)
		m.Resting = d.ports("resting", wire.GetResting(), seen)
	}
	return m
}

// ports reads ports of which none was seen before.
func (d *decoder) ports(field string, wire []uint32, seen map[uint16]bool) []uint16 {
	var ports []uint16
	for i, p := range wire {
		place := fmt.Sprintf("%s[%d]", field, i)
		port := d.port(place, p)
		if seen[port] {
			d.fail(place, "%d is there twice", port)
		}
		seen[port] = true
		ports = append(ports, port)
	}
	return ports
}
