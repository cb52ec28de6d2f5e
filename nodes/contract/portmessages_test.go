package contract

import (
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// Every rule of the messages about ports that a partner may break.
func TestUnmarshalRefusesPortMessages(t *testing.T) {
	t.Parallel()
	dvipa, xcf := dva1.AsSlice(), xcf2.AsSlice()
	claim := func(change func(*xcfpb.PortClaim)) *xcfpb.Envelope {
		m := &xcfpb.PortClaim{Id: 1, Dvipa: dvipa, XcfAddress: xcf, Unique: true, Epoch: 1}
		change(m)
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_PortClaim{PortClaim: m}}
	}
	answer := func(outcome xcfpb.PortOutcome, port uint32, holder string) *xcfpb.Envelope {
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_PortAnswer{PortAnswer: &xcfpb.PortAnswer{Id: 1, Outcome: outcome, Port: port, Holder: holder}}}
	}
	release := func(ports ...uint32) *xcfpb.Envelope {
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_PortRelease{PortRelease: &xcfpb.PortRelease{Dvipa: dvipa, XcfAddress: xcf, Ports: ports, Epoch: 1}}}
	}
	held := func(shared, unique []uint32, epoch uint64) *xcfpb.Envelope {
		return &xcfpb.Envelope{Body: &xcfpb.Envelope_PortsHeld{PortsHeld: &xcfpb.PortsHeld{Dvipa: dvipa, XcfAddress: xcf, Shared: shared, Unique: unique, Epoch: epoch}}}
	}
	const (
		granted  = xcfpb.PortOutcome_PORT_OUTCOME_GRANTED
		inUse    = xcfpb.PortOutcome_PORT_OUTCOME_IN_USE
		noneLeft = xcfpb.PortOutcome_PORT_OUTCOME_NONE_LEFT
		busy     = xcfpb.PortOutcome_PORT_OUTCOME_BUSY
	)
	for _, test := range []struct {
		want string
		wire *xcfpb.Envelope
	}{
		{"PORT_CLAIM: id: 0, want 1 or more", claim(func(m *xcfpb.PortClaim) { m.Id = 0 })},
		{"PORT_CLAIM: dvipa: 0 bytes, want 4 or 16", claim(func(m *xcfpb.PortClaim) { m.Dvipa = nil })},
		{"PORT_CLAIM: xcf_address: 3 bytes, want 4 or 16", claim(func(m *xcfpb.PortClaim) { m.XcfAddress = xcf[:3] })},
		{"PORT_CLAIM: port: 65536, want 1 to 65535", claim(func(m *xcfpb.PortClaim) { m.Port = 65536 })},
		{"PORT_CLAIM: unique: false, want true with port 0 (I15)", claim(func(m *xcfpb.PortClaim) { m.Unique = false })},
		{"PORT_CLAIM: epoch: 0, want 1 or more", claim(func(m *xcfpb.PortClaim) { m.Epoch = 0 })},

		{"PORT_ANSWER: id: 0, want 1 or more", &xcfpb.Envelope{Body: &xcfpb.Envelope_PortAnswer{PortAnswer: &xcfpb.PortAnswer{Outcome: noneLeft}}}},
		{"PORT_ANSWER: outcome: 0, want 1 (granted), 2 (in use), 3 (none left) or 4 (busy)", answer(0, 0, "")},
		{"PORT_ANSWER: outcome: 258, want 1 (granted)", answer(258, 0, "MVS4")},
		{"PORT_ANSWER: port: 0, want 1 to 65535", answer(granted, 0, "")},
		{"PORT_ANSWER: port: 60, want 0 with PORT_OUTCOME_IN_USE", answer(inUse, 60, "MVS4")},
		{"PORT_ANSWER: port: 60, want 0 with PORT_OUTCOME_BUSY", answer(busy, 60, "")},
		{"PORT_ANSWER: holder: 0 characters, want 1 to 32", answer(inUse, 0, "")},
		{"PORT_ANSWER: holder: \"MVS4\", want none with PORT_OUTCOME_GRANTED", answer(granted, 60, "MVS4")},
		{"PORT_ANSWER: holder: \"MVS4\", want none with PORT_OUTCOME_NONE_LEFT", answer(noneLeft, 0, "MVS4")},
		{"PORT_ANSWER: holder: \"M 4\" has a character that is not printable ASCII", answer(busy, 0, "M 4")},

		{"PORT_RELEASE: ports: 0 entries, want 1 to 16384", release()},
		{"PORT_RELEASE: ports: 16385 entries, want 1 to 16384", release(make([]uint32, MaxPorts+1)...)},
		{"PORT_RELEASE: ports[1]: 0, want 1 to 65535", release(60, 0)},
		{"PORT_RELEASE: ports[1]: 65596, want 1 to 65535", release(60, 65596)}, // 60 in 16 bits
		{"PORT_RELEASE: ports[2]: 60 is there twice", release(60, 61, 60)},

		{"PORTS_HELD: epoch: 0, want 1 or more", held([]uint32{60}, nil, 0)},
		{"PORTS_HELD: shared, unique and resting: 0 entries, want 1 to 16384", held(nil, nil, 1)},
		{"PORTS_HELD: shared, unique and resting: 16385 entries, want 1 to 16384", held(make([]uint32, 1), make([]uint32, MaxPorts), 1)},
		{"PORTS_HELD: shared[0]: 0, want 1 to 65535", held([]uint32{0}, nil, 1)},
		{"PORTS_HELD: unique[1]: 60 is there twice", held([]uint32{60}, []uint32{61, 60}, 1)},
	} {
		wantRefused(t, test.wire, test.want)
	}
}
