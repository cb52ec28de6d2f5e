package profile

import "net/netip"

// Profile is the definition block of one stack, each name resolved to an address. Only Parse
// and Obey make one, so a Profile is always right in itself. Within each kind the statements are in the
// order of the text; between kinds the order has no meaning.
type Profile struct {
	Defines     []Define
	Backups     []Backup
	Distributes []Distribute
	Ranges      []Range
	SourceIPAs  []SourceIPA
}

// Address is an address where the text names it.
type Address struct {
	Pos  Position
	Addr netip.Addr // IPv4 or IPv6, never IPv4 in IPv6, without zone
}

// Option is a keyword that may be left out; the zero value was.
type Option struct {
	Pos Position
	// Keyword is the keyword in full, as the specification spells it. CLUSTERPORTS and
	// SYSPLEXPORTS mean the same and are told apart only to be shown as written.
	Keyword string
}

// Given reports whether the option was there.
func (o Option) Given() bool { return o.Keyword != "" }

// Define is a VIPADEFine statement: the stack is the primary of these DVIPAs, which are
// MOVEable IMMEDIATE.
type Define struct {
	Pos          Position
	ClusterPorts Option
	// Bits is the length of the network mask: 1 to 32, for IPv6 1 to 128.
	Bits int
	// Addresses, at least one, all of one subnet (T15).
	Addresses []Address
}

// Backup is a VIPABackup statement: the stack takes these DVIPAs over.
type Backup struct {
	Pos       Position
	Rank      uint8     // 1 to 254; higher takes over first (T16)
	Addresses []Address // at least one
}

// Distribute is a VIPADISTribute statement.
type Distribute struct {
	Pos Position
	// Address is that of a VIPADEFine or VIPABackup of the same profile (I14).
	Address      Address
	ClusterPorts Option // for distributed DVIPAs only (T23)
	// Ports that are distributed, none twice; empty means all (T1, I5).
	Ports []Ports
	// All is DESTIP ALL: every stack, future ones too (T17). Targets is empty then.
	All bool
	// Targets are the XCF addresses of the candidate targets, none twice.
	Targets []Target
}

// Ports is an inclusive range of ports: 1 <= First <= Last.
type Ports struct {
	Pos         Position
	First, Last uint16
}

// Target is a stack of a DESTIP list.
type Target struct {
	Address
	Weight uint8 // 1 to 99, its share of new connections relative to the others
}

// Range is a VIPARange statement: later DVIPAs within it are MOVEable NONDISRUPTIVE.
type Range struct {
	Pos          Position
	Distribute   Option
	ClusterPorts Option
	Address      Address // any of the range
	Bits         int     // 1 to 32, for IPv6 1 to 128
}

// Prefix is the range itself.
func (r Range) Prefix() netip.Prefix { return netip.PrefixFrom(r.Address.Addr, r.Bits).Masked() }

// SourceIPA is a SOURCEIPA statement: connections that Application opens come from Address.
type SourceIPA struct {
	Pos     Position
	Address Address
	// Application in upper case: 1 to 8 letters, digits, @, # or $, no digit first. The last
	// character may be a * instead, for every application that begins so; of several statements
	// that are for an application the most specific counts: its own name, else the longest
	// beginning.
	Application string
}

// of is what only one SOURCEIPA can speak of: an application has a source of either family.
func (s SourceIPA) of() string {
	if s.Address.Addr.Is6() {
		return s.Application + " for IPv6"
	}
	return s.Application
}
