package datapath

import (
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// An expression is one step of a rule in the kernel's nf_tables machine, encoded as a
// list element's content.
type expression interface{ marshal() ([]byte, error) }

// An nft is an expression that google/nftables knows.
type nft struct{ expr.Any }

func (e nft) marshal() ([]byte, error) { return expr.Marshal(unix.NFPROTO_NETDEV, e.Any) }

// A fwd sends the packet out of the interface whose index stands in register device to the
// neighbour whose address stands in register address, one hop on the way: the time to live
// is counted down, the rest of the packet untouched (net/netfilter/nft_fwd_netdev.c).
type fwd struct {
	device, address uint32
	nfproto         uint8
}

// Attributes of fwd besides NFTA_FWD_SREG_DEV (enum nft_fwd_attributes), not in x/sys yet.
const (
	nftaFwdSregAddr = 2
	nftaFwdNFProto  = 3
)

func (e fwd) marshal() ([]byte, error) {
	return attributes(func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_EXPR_NAME, "fwd")
		nested(ae, unix.NFTA_EXPR_DATA, func(ae *netlink.AttributeEncoder) {
			ae.Uint32(unix.NFTA_FWD_SREG_DEV, e.device)
			ae.Uint32(nftaFwdSregAddr, e.address)
			ae.Uint32(nftaFwdNFProto, uint32(e.nfproto))
		})
	})
}

// register is the n-th of the sixteen 32-bit registers. nft 1.0.6 aborts when it lists rules
// whose registers are not where it would have put them: fields of a concatenation follow
// one another, anything held beside them begins at a multiple of four.
func register(n uint32) uint32 { return unix.NFT_REG32_00 + n }

// Code is part of a rule: expressions that the kernel runs in turn until one does not match.
type code []expression

var (
	counter = code{nft{&expr.Counter{}}}
	accept  = code{nft{&expr.Verdict{Kind: expr.VerdictAccept}}}
	drop    = code{nft{&expr.Verdict{Kind: expr.VerdictDrop}}}
)

func goTo(chain string) code {
	return code{nft{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}}
}

func jumpTo(chain string) code {
	return code{nft{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}}
}

func equal(reg uint32, value ...byte) code {
	return code{nft{&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: value}}}
}

func unequal(reg uint32, value ...byte) code {
	return code{nft{&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: value}}}
}

func and(reg uint32, mask ...byte) code {
	return code{nft{&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))}}}
}

func immediate(reg uint32, value []byte) code {
	return code{nft{&expr.Immediate{Register: reg, Data: value}}}
}

// in passes when the key that begins at reg is in the set.
func in(s set, reg uint32) code {
	return code{nft{&expr.Lookup{SourceRegister: reg, SetName: s.name, SetID: s.id}}}
}

// mapped passes when the key is in the map; its value then stands in register to.
func mapped(s set, reg, to uint32) code {
	return code{nft{&expr.Lookup{SourceRegister: reg, SetName: s.name, SetID: s.id, DestRegister: to, IsDestRegSet: true}}}
}

// verdictOf goes where the map's value for the key says; without one the rule does not match.
func verdictOf(s set, reg uint32) code { return mapped(s, reg, unix.NFT_REG_VERDICT) }

// Operations on a set from within a rule (enum nft_dynset_ops), not in x/sys.
const (
	dynsetUpdate = 1
	dynsetDelete = 2
)

// update puts the key into a set, or renews its timeout; it does not match when the set is full.
func update(s set, reg uint32, timeout time.Duration) code {
	return code{nft{&expr.Dynset{SrcRegKey: reg, SetName: s.name, Operation: dynsetUpdate, Timeout: timeout}}}
}

// updateTo puts the key into a map with the value of register data, or renews its timeout.
func updateTo(s set, reg, data uint32, timeout time.Duration) code {
	return code{nft{&expr.Dynset{SrcRegKey: reg, SrcRegData: data, SetName: s.name, Operation: dynsetUpdate, Timeout: timeout}}}
}

// remove takes the key out of a set, if it is there.
func remove(s set, reg uint32) code {
	return code{nft{&expr.Dynset{SrcRegKey: reg, SetName: s.name, Operation: dynsetDelete}}}
}

// removeFrom takes the key out of a map; the kernel wants a value in register data, any.
func removeFrom(s set, reg, data uint32) code {
	return code{nft{&expr.Dynset{SrcRegKey: reg, SrcRegData: data, SetName: s.name, Operation: dynsetDelete}}}
}

// next counts through 0 to modulus-1, one step a packet.
func next(modulus uint32, to uint32) code {
	return code{nft{&expr.Numgen{Register: to, Modulus: modulus, Type: unix.NFT_NG_INCREMENTAL}}}
}
