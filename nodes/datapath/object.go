package datapath

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tableName is the name of the table of the family netdev that belongs to a Path.
const tableName = "vipa"

func (b *batch) addTable() {
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create, "add table netdev "+tableName, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, tableName)
	})
}

func (b *batch) deleteTable() {
	b.add(unix.NFT_MSG_DELTABLE, 0, "delete table netdev "+tableName, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, tableName)
	})
}

func (b *batch) addChain(name string) {
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, "add chain "+name, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, tableName)
		ae.String(unix.NFTA_CHAIN_NAME, name)
	})
}

// A hook is where a base chain of the family netdev sees packets.
type hook struct {
	number uint32
	name   string
}

var (
	// ingress sees every packet as it arrives, before IP does.
	ingress = hook{unix.NF_NETDEV_INGRESS, "ingress"}
	// egress sees every packet as it leaves, still in the system call that sends it.
	egress = hook{unix.NF_NETDEV_EGRESS, "egress"}
)

// addBaseChain adds a chain that sees the packets of interfaces.
func (b *batch) addBaseChain(name string, at hook, interfaces []string) {
	what := fmt.Sprintf("add chain %s at %s of %v", name, at.name, interfaces)
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, what, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, tableName)
		ae.String(unix.NFTA_CHAIN_NAME, name)
		ae.String(unix.NFTA_CHAIN_TYPE, "filter")
		nested(ae, unix.NFTA_CHAIN_HOOK, func(ae *netlink.AttributeEncoder) {
			ae.Uint32(unix.NFTA_HOOK_HOOKNUM, at.number)
			ae.Uint32(unix.NFTA_HOOK_PRIORITY, 0)
			if len(interfaces) == 1 {
				ae.String(unix.NFTA_HOOK_DEV, interfaces[0])
				return
			}
			nested(ae, nftaHookDevs, func(ae *netlink.AttributeEncoder) {
				for _, name := range interfaces {
					ae.String(nftaDeviceName, name)
				}
			})
		})
	})
}

// emptyChain deletes every rule of a chain.
func (b *batch) emptyChain(name string) {
	b.add(unix.NFT_MSG_DELRULE, 0, "empty chain "+name, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, tableName)
		ae.String(unix.NFTA_RULE_CHAIN, name)
	})
}

// deleteChain deletes a chain and its rules; nothing may refer to it any more.
func (b *batch) deleteChain(name string) {
	b.emptyChain(name)
	b.add(unix.NFT_MSG_DELCHAIN, 0, "delete chain "+name, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, tableName)
		ae.String(unix.NFTA_CHAIN_NAME, name)
	})
}

// A set is a named set or map of the table.
type set struct {
	name string
	key  nftables.SetDatatype
	// data is the type of a map's values, the zero value for a set.
	data nftables.SetDatatype
	// size is the most elements it holds; 0 leaves it to the kernel.
	size uint32
	// dynamic: packets change it, and its elements may have timeouts.
	dynamic bool
	// id names an anonymous set within its transaction, else 0; anonymous sets are constant.
	id uint32
}

func (s set) isMap() bool { return s.data.Name != "" }

func (s set) isVerdictMap() bool { return s.data.Name == nftables.TypeVerdict.Name }

func (b *batch) addSet(s set) {
	var flags uint32
	for flag, on := range map[uint32]bool{
		unix.NFT_SET_MAP:                               s.isMap(),
		unix.NFT_SET_EVAL | unix.NFT_SET_TIMEOUT:       s.dynamic,
		unix.NFT_SET_ANONYMOUS | unix.NFT_SET_CONSTANT: s.id != 0,
	} {
		if on {
			flags |= flag
		}
	}
	b.add(unix.NFT_MSG_NEWSET, netlink.Create, "add set "+s.name, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_TABLE, tableName)
		ae.String(unix.NFTA_SET_NAME, s.name)
		ae.Uint32(unix.NFTA_SET_ID, s.id)
		ae.Uint32(unix.NFTA_SET_FLAGS, flags)
		ae.Uint32(unix.NFTA_SET_KEY_TYPE, s.key.GetNFTMagic())
		ae.Uint32(unix.NFTA_SET_KEY_LEN, s.key.Bytes)
		switch {
		case s.isVerdictMap():
			ae.Uint32(unix.NFTA_SET_DATA_TYPE, unix.NFT_DATA_VERDICT)
			ae.Uint32(unix.NFTA_SET_DATA_LEN, s.data.Bytes)
		case s.isMap():
			ae.Uint32(unix.NFTA_SET_DATA_TYPE, s.data.GetNFTMagic())
			ae.Uint32(unix.NFTA_SET_DATA_LEN, s.data.Bytes)
		}
		if s.size != 0 {
			nested(ae, unix.NFTA_SET_DESC, func(ae *netlink.AttributeEncoder) {
				ae.Uint32(unix.NFTA_SET_DESC_SIZE, s.size)
			})
		}
		if s.id != 0 {
			// nft prints the keys of an anonymous set in the byte order noted here.
			ae.Bytes(unix.NFTA_SET_USERDATA, userdata.AppendUint32(nil, userdata.NFTNL_UDATA_SET_KEYBYTEORDER, byteOrderHost))
		}
	})
}

// byteOrderHost is BYTEORDER_HOST_ENDIAN of nft (include/datatype.h).
const byteOrderHost = 1

// A rule is one rule of a chain.
type rule struct {
	chain string
	code  code
	// comment is at most 128 bytes, the most that nft reads.
	comment string
}

func (b *batch) addRule(r rule) {
	b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, "add rule to chain "+r.chain, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, tableName)
		ae.String(unix.NFTA_RULE_CHAIN, r.chain)
		nested(ae, unix.NFTA_RULE_EXPRESSIONS, func(ae *netlink.AttributeEncoder) {
			for _, e := range r.code {
				ae.Do(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, e.marshal)
			}
		})
		if r.comment != "" {
			ae.Bytes(unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.comment))
		}
	})
}

// Attributes of linux/netfilter/nf_tables.h that are not in x/sys.
const (
	nftaHookDevs   = 4
	nftaDeviceName = 1
)

// native encodes a value as the kernel computes with it, in the machine's byte order.
func native(v uint32) []byte { return binaryutil.NativeEndian.PutUint32(v) }
