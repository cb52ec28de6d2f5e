// Package datapath is the data path of a routing stack: Figures 8 and 12 as nftables in the
// kernel of the network namespace it is opened in. No packet leaves the kernel, and the
// kernel's maps are the tables: the connection routing table (CRT) is the map crt, with the
// set crt_local beside it for connections of the stack itself, and the destination port
// table (DPT) is the map dpt.
//
// `nft list table netdev vipa` reads like the flowchart. In short:
//
//	chain outside    { for another station accept; ip daddr @owned goto owned; ip6 goto outside_ip6; ARP for a DVIPA: only its owner answers; other DVIPAs drop }
//	chain xcf        { ip daddr @owned goto owned }
//	chain owned      { tcp goto fig12; icmp errors goto icmp_error }
//	chain fig12      { fragments drop (I21); SYN goto fig08; jump fig12_local; crt fwd (140, 150); accept (152) }
//	chain fig08      { ended goto ended; jump fig08_local; crt fwd (802, 804); goto selection }
//	chain ended      { delete the entry of an ended connection whose addresses and ports are used again; goto selection }
//	chain selection  { dvipa . port vmap @crt_unique (143); dvipa . port vmap @dpt (145); accept (152) }
//	chain dpt_D_P    { numgen inc mod N vmap { target_A, target_B ... } }   one for each service (144)
//	chain target_A   { update @crt { 4-tuple timeout 10s : A }; goto selected }   one for each target (146)
//	chain unique_A   { the same for a unique port (I1); goto unique }
//	chain selected   { jump selected_local; crt fwd (150); drop what a full table did not take }
//	chain fig12_local and the like { crt_local accept }   empty until this stack is a target (I7)
//
// IPv6 has sets and chains of the same names with _ip6 behind them, crt_ip6, fig12_ip6 and so on; its
// rules about neighbour solicitations are to it what those of ARP are to IPv4. Where the inter-stack
// network is of IPv4 its next hops are those that contract.NextHop makes of XCF addresses, and crt_ip6
// holds these; where that network is of IPv6, IPv4 is not served. TCP is found behind extension headers
// too, and goes on to the target as it is. A fragment is dropped as one of IPv4 is (I21) if its protocol
// can be told; one that begins in the midst of further extension headers is left to IP, which never
// completes its packet, the first fragment having been dropped. Of ICMPv6 errors those are forwarded
// that quote TCP right behind the header of IPv6.
//
// 142 is asked ahead of 140, since a SYN passes Figure 8 as well; the edges are the same. The
// comment of a rule with a counter names the edges of the flowcharts that its packets have
// passed; Counters adds them up.
//
// The life of a CRT entry: selection makes it with a short timeout (Config.Embryonic), since a
// target that refuses the SYN leaves no event; AddConnections makes it permanent;
// EndConnections gives it the short timeout again and notes the 4-tuple in crt_ended, so that
// the next SYN of the same 4-tuple is selected anew, while a connection that reused the
// 4-tuple before the TERMCONN arrived keeps its entry.
package datapath
