// Package routing tells the network by a routing protocol which DVIPAs a stack owns (Figure 10,
// block 104, and T14): OSPF (RFC 2328, for IPv6 RFC 5340) or RIP (RFC 2453, RFC 2080), spoken by an
// unmodified BIRD 2 that belongs to the stack. The package writes its configuration, reloads it
// through its control socket, and starts it again when it ends.
//
// # What is advertised
//
// For each DVIPA a host route, whose cost is that of its ownership epoch (see Cost), and the
// prefix that its mask gives. Every owner within a prefix advertises that; the host route, being
// longer, decides. What a prefix attracts that is no address of the stack is dropped at the
// outside interfaces, silently: the stack's default route would send it back to where it came from,
// and the owner of the address may be changing.
//
// Nothing is learned: a stack's own routes are set by whoever built its network. It takes no
// transit traffic either (OSPF: RFC 6987; RIP: only own routes are told).
//
// # Privileges
//
// BIRD needs CAP_NET_RAW, CAP_NET_ADMIN and, for RIP, CAP_NET_BIND_SERVICE over the network
// namespace; root of a user namespace that owns it has them.
package routing
