// Package xcf is the group of a plex as one stack takes part in it: who is a member, and
// messages between members in their order. The wire is that of package contract; this
// package adds when what is sent, and what is believed.
//
//	          HELLO, each Hello (UDP broadcast or multicast, XCF interface alone)
//	┌───────┐ ─────────────────────────────────────────────────────> every partner
//	│ stack │ answer to a HELLO of an unknown incarnation, at once ─> that partner
//	└───────┘ TCP, one connection a pair, the lower XCF address dials <──> partner
//
// A partner is a member from the moment its Confirm was verified on a connection; it is lost
// with that connection, or when no HELLO of it was heard for Dead. Silence is counted in
// HELLOs of our own: a stack that was not given the processor itself heard nobody in that
// time, and must not blame the others for it.
//
// Names and addresses are claims, and of two claims the earlier stands (see roster). All
// state is behind the mutex of Group; what may block (connections, the consumer of Events)
// is on goroutines of its own, so that no partner holds up another.
package xcf
