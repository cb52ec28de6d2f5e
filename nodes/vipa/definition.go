// Package vipa is the pure core of a communication protocol stack: the flowcharts of the
// specification as code. Events go in, actions come out; there is no I/O, no clock and no
// goroutine. Every block and edge that an event passes is reported as a trace. figNN.go holds
// Figure NN, its blocks named by their numbers.
package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Variant chooses how a listening socket bound to the specified DVIPA is read (Figure 5).
type Variant uint8

const (
	// SpecifiedAddressBypass: 502-no goes to 514 whatever the enumeration says (T3). The default.
	SpecifiedAddressBypass Variant = iota
	// EnumeratedOnly: 508 and 512 decide for every socket.
	EnumeratedOnly
)

// Config is what does not change while a stack lives.
type Config struct {
	// Self is the stack itself; Self.Outside says whether it has a link to the outside.
	Self    contract.Member
	Variant Variant
	// XCFNetwork is the inter-stack network, which no source address is chosen for. The zero
	// Prefix: only the XCF addresses of members are known to be in it.
	XCFNetwork netip.Prefix
	// OwnersKeepPorts: owners keep the tables of ports (T35), so that there is FollowOwner.
	OwnersKeepPorts bool
}

// Definition is a profile with every name resolved to an address: what Figure 10, block 100
// takes in. The zero value is a stack without definitions of its own.
type Definition struct {
	Defines     []Define
	Backups     []Backup
	Distributes []Distribute
	Ranges      []Range
	SourceIPAs  []contract.SourceIPA
}

// Define is one address of a VIPADEFine statement.
type Define struct {
	// Prefix is the DVIPA with the length of its mask, host bits kept.
	Prefix       netip.Prefix
	ClusterPorts bool
}

// Backup is one address of a VIPABackup statement.
type Backup struct {
	DVIPA netip.Addr
	Rank  uint8 // 1 to 254
}

// Distribute is a VIPADISTribute statement.
type Distribute struct {
	DVIPA        netip.Addr
	Distribution contract.Distribution
	ClusterPorts bool
}

// Range is a VIPARange statement. Those of a Definition do not overlap.
type Range struct {
	Prefix       netip.Prefix // masked
	ClusterPorts bool
	Distribute   bool
}

// distribution is that of a DVIPA activated in the range: with DISTribute every port, to ALL (T18).
func (r Range) distribution() *contract.Distribution {
	if !r.Distribute {
		return nil
	}
	return &contract.Distribution{All: true}
}
