// Package contract holds what every implementation of a stack shares: the messages on
// XCF and their framing, the control API, and the terms on which a stack is started.
// README.md of this directory is the vendor's manual; this package is its Go form.
package contract

import "net/netip"

// A Message is what one stack tells another over XCF. The kinds are VIPAList, EndOfList,
// SRVSTAT, NEWCONN, NEWCONNAck, TERMCONN, PortClaim, PortAnswer, PortRelease, PortsHeld,
// Workload and Unknown.
type Message interface {
	// Kind is the field's name of the message, such as "SRVSTAT".
	Kind() string
}

// VIPAList is the complete list of DVIPAs of its sender; it replaces every earlier one
// (Figure 10, block 102; T19).
type VIPAList struct {
	DVIPAs     []DVIPA
	SourceIPAs []SourceIPA
	// NoWayOut: every link of the sender to the outside is down. Where it is false, Member.Outside says
	// whether the sender has any.
	NoWayOut bool
}

// Role says by which statement a stack holds a DVIPA.
type Role uint8

// The roles; the zero value is not a role.
const (
	RolePrimary Role = 1 // VIPADEFine
	RoleBackup  Role = 2 // VIPABackup
	RoleRange   Role = 3 // activated within a VIPARange
)

// DVIPA is one entry of a VIPAList.
type DVIPA struct {
	// Prefix is the address with the length of its mask, host bits kept.
	Prefix netip.Prefix
	Role   Role
	// Rank is 1 to 254 for RoleBackup, else 0; higher takes over first (T16).
	Rank uint8
	// Owner: the sender owns the DVIPA towards the network now.
	Owner bool
	// Epoch is the ownership epoch, from 1; 0 where Owner is false.
	Epoch uint64
	// ClusterPorts: ports are assigned cluster-wide.
	ClusterPorts bool
	// Distribution is nil for a DVIPA that is not distributed.
	Distribution *Distribution
}

// Distribution is what VIPADISTribute says of a DVIPA.
type Distribution struct {
	// Ports are the enumerated ports; none enumerated means all ports (T1).
	Ports []PortRange
	// All is DESTIP ALL: every stack, future ones too (T17). Targets is empty then.
	All bool
	// Targets are the candidate targets in the order of DESTIP.
	Targets []Target
}

// PortRange is an inclusive range of ports, First <= Last.
type PortRange struct{ First, Last uint16 }

// Target is a stack that connections may be given to.
type Target struct {
	XCF netip.Addr
	// Weight is the share of new connections relative to the other targets; 0 means 1.
	Weight uint32
}

// SourceIPA makes Address the source of connections that Application opens.
type SourceIPA struct {
	Address netip.Addr
	// Application is a name, or the beginning of names and a *; "*" alone is every name.
	Application string
}

// EndOfList: the sender has told all that it holds (I20).
type EndOfList struct{}

// SRVSTAT tells the owner that listening on a service began or ended (Figure 11, block 130).
type SRVSTAT struct {
	Service netip.AddrPort // the DVIPA and port
	XCF     netip.Addr     // of the stack that listens
	// Listening is false when the last listening socket of the stack is gone (I9).
	Listening bool
	// Unique: a cluster-wide port, routed straight to its stack (Figure 13, 165-yes).
	Unique bool
	Epoch  uint64
}

// Connection is a connection to a DVIPA, seen from the plex.
type Connection struct {
	// Remote is the other end; 0.0.0.0:0 or [::]:0 stands for every other end, by which a
	// unique port may be announced (T38).
	Remote netip.AddrPort
	Local  netip.AddrPort // DVIPA and port
}

// NEWCONN tells the owner of connections that its sender holds (Figure 13, block 164).
// Every Local address of Connections is DVIPA.
type NEWCONN struct {
	DVIPA       netip.Addr
	XCF         netip.Addr
	Connections []Connection
	Epoch       uint64
	// Acknowledge, where not zero, asks for a NEWCONNAck of that number after the commit.
	Acknowledge uint64
}

// NEWCONNAck answers a NEWCONN whose connections are in the CRT.
type NEWCONNAck struct{ Acknowledge uint64 }

// TERMCONN tells the owner that its sender holds nothing of these connections any more
// (Figure 13, block 162; I3). Every Local address of Connections is DVIPA.
type TERMCONN struct {
	DVIPA       netip.Addr
	XCF         netip.Addr
	Connections []Connection
	Epoch       uint64
}

// PortClaim asks the owner of a DVIPA for a port of it, in a plex where the owner keeps the
// table of ports (T35; Figure 15, blocks 204 and 205). A stack may ask for what it holds.
type PortClaim struct {
	// ID is the sender's number of the claim, never zero. Asked again by the same ID, a claim
	// of port 0 that was granted is answered by the same port until that is released.
	ID    uint64
	DVIPA netip.Addr
	XCF   netip.Addr // of the stack that asks
	// Port is the number asked for; 0 is any port of the pool, which is Unique then (I15).
	Port   uint16
	Unique bool
	Epoch  uint64
}

// PortOutcome is what the owner says to a PortClaim.
type PortOutcome uint8

// The outcomes; the zero value is not one.
const (
	PortGranted  PortOutcome = 1
	PortInUse    PortOutcome = 2 // another stack holds it (204-no)
	PortNoneLeft PortOutcome = 3 // no port of the pool is available (205-none)
	PortBusy     PortOutcome = 4 // the owner cannot tell yet, for instance not every stack has told what it holds
)

// PortAnswer answers the PortClaim of the same ID.
type PortAnswer struct {
	ID      uint64
	Outcome PortOutcome
	// Port is what PortGranted gives, else 0.
	Port uint16
	// Holder is the stack that holds the port for PortInUse, and for PortBusy the one that the
	// owner waits for, if it can tell; else empty.
	Holder string
}

// PortRelease gives back ports that no socket of the sender uses any more (I18; Figure 14,
// block 190). What another stack holds stays as it is; what nobody holds rests if it is asked for,
// for an owner that is new.
type PortRelease struct {
	DVIPA netip.Addr
	XCF   netip.Addr
	Ports []uint16 // at least one, none twice
	// Rest: the ports carried connections whose other ends may linger; for a while they are
	// given out by number only.
	Rest  bool
	Epoch uint64
}

// PortsHeld tells a new owner ports that the sender holds, those of claims under way included; and an
// owner tells every member the ports that begin to rest, and one which of its ports another holds too. Several of one
// sender add up.
type PortsHeld struct {
	DVIPA netip.Addr
	// XCF is the stack that holds the ports: the sender, unless an owner tells of another holder.
	XCF netip.Addr
	// Shared and Unique, and Resting of an owner: together at least one port, none twice.
	Shared, Unique, Resting []uint16
	Epoch                   uint64
}

// Workload tells every partner how busy the system of the sender is, so that those who distribute
// can give it its share of new connections (T30).
type Workload struct {
	// Capacity is what the system has in processors, in thousandths: 1 to MaxCapacity.
	Capacity uint32
	// Load is what of Capacity was asked for on average since the report before, by what used processors
	// or waited for one: 0 to Capacity.
	Load uint32
	// Connections to DVIPAs that the sender holds.
	Connections uint32
}

// Unknown is a message of a kind that this implementation does not know; it is ignored
// and the connection kept (I11).
type Unknown struct{ Field uint32 }

func (VIPAList) Kind() string    { return "VIPA_LIST" }
func (EndOfList) Kind() string   { return "END_OF_LIST" }
func (SRVSTAT) Kind() string     { return "SRVSTAT" }
func (NEWCONN) Kind() string     { return "NEWCONN" }
func (NEWCONNAck) Kind() string  { return "NEWCONN_ACK" }
func (TERMCONN) Kind() string    { return "TERMCONN" }
func (PortClaim) Kind() string   { return "PORT_CLAIM" }
func (PortAnswer) Kind() string  { return "PORT_ANSWER" }
func (PortRelease) Kind() string { return "PORT_RELEASE" }
func (PortsHeld) Kind() string   { return "PORTS_HELD" }
func (Workload) Kind() string    { return "WORKLOAD" }
func (Unknown) Kind() string     { return "UNKNOWN" }

// Member identifies one incarnation of a stack on XCF.
type Member struct {
	Stack string
	XCF   netip.Addr
	// Incarnation grows with every start of the stack; never zero.
	Incarnation uint64
	// Outside: the stack has a link to the outside and forwards for others.
	Outside bool
}
