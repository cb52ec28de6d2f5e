package datapath

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// maxElements bounds the changes of set elements in one transaction: packets that change a
// set wait for a transaction in progress, 13 ms with 5,000 elements.
const maxElements = 2000

// A batch collects changes of the ruleset for one transaction. The Conn of google/nftables
// sends transactions of its own, which cannot take in a fwd expression; its expressions and
// datatypes are used here, the messages around them are built here.
type batch struct {
	messages []netlink.Message
	what     []string // for each message what it does, in words of an error
	elements int
	// anonymous numbers the anonymous sets of the transaction.
	anonymous uint32
	err       error
}

// add appends one message; attributes are encoded by fn in network byte order.
func (b *batch) add(kind uint16, flags netlink.HeaderFlags, what string, fn func(*netlink.AttributeEncoder)) {
	data, err := attributes(fn)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("encode %s: %w", what, err)
	}
	b.append(kind, flags, what, append(generic(unix.NFPROTO_NETDEV, 0), data...))
}

// append appends one message with the given content: the generic header and attributes.
func (b *batch) append(kind uint16, flags netlink.HeaderFlags, what string, content []byte) {
	b.messages = append(b.messages, message(kind, flags, content))
	b.what = append(b.what, what)
}

// request is a message outside a transaction.
func request(kind uint16, fn func(*netlink.AttributeEncoder)) (netlink.Message, error) {
	data, err := attributes(fn)
	if err != nil {
		return netlink.Message{}, err
	}
	return message(kind, 0, append(generic(unix.NFPROTO_NETDEV, 0), data...)), nil
}

func message(kind uint16, flags netlink.HeaderFlags, content []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: headerType(kind), Flags: netlink.Request | flags},
		Data:   content,
	}
}

func attributes(fn func(*netlink.AttributeEncoder)) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	fn(ae)
	return ae.Encode()
}

// nested encodes attributes inside an attribute.
func nested(ae *netlink.AttributeEncoder, typ uint16, fn func(*netlink.AttributeEncoder)) {
	ae.Nested(typ, func(inner *netlink.AttributeEncoder) error {
		fn(inner)
		return nil
	})
}

func headerType(kind uint16) netlink.HeaderType {
	return netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind)
}

// generic is the header of every nfnetlink message (struct nfgenmsg).
func generic(protocol uint8, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{protocol, unix.NFNETLINK_V0}, resource)
}

// batchEdge begins or ends a transaction.
func batchEdge(kind netlink.HeaderType) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request},
		Data:   generic(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
	}
}
