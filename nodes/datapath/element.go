package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// An element is one element of a set or map.
type element struct {
	key []byte
	// value is what a map gives for the key, chain where a verdict map goes; both empty in a set.
	value []byte
	chain string
	// timeout is the life of the element, 0 has no end; expires what is left of it, in answers.
	timeout, expires time.Duration
}

const (
	// elementLength is the room for an element in a list; one of the IPv6 CRT takes 92 bytes.
	elementLength = 96
	// elementsInMessage keeps a list of elements within the 64 KiB of one attribute.
	elementsInMessage = 500
)

// putElements adds elements, or renews the timeout of those that are there; it fails with
// EEXIST (on some kernels EBUSY) for one that is there with another value.
func (b *batch) putElements(s set, elements ...element) {
	b.changeElements(unix.NFT_MSG_NEWSETELEM, netlink.Create, "put into", s, elements)
}

// deleteElements fails with ENOENT for an element that is not there.
func (b *batch) deleteElements(s set, elements ...element) {
	b.changeElements(unix.NFT_MSG_DELSETELEM, 0, "delete from", s, elements)
}

func (b *batch) changeElements(kind uint16, flags netlink.HeaderFlags, verb string, s set, elements []element) {
	b.elements += len(elements)
	for len(elements) > 0 {
		n := min(len(elements), elementsInMessage)
		what := fmt.Sprintf("%s %s %d elements", verb, s.name, n)
		b.append(kind, flags, what, encodeElements(s, elements[:n]...))
		elements = elements[n:]
	}
}

// encodeElements makes the content of a message about elements of a set.
func encodeElements(s set, elements ...element) []byte {
	const otherAttributes = 64
	b := make([]byte, 0, otherAttributes+len(s.name)+len(elements)*elementLength)
	b = append(b, generic(unix.NFPROTO_NETDEV, 0)...)
	b = appendAttribute(b, unix.NFTA_SET_ELEM_LIST_TABLE, append([]byte(tableName), 0))
	b = appendAttribute(b, unix.NFTA_SET_ELEM_LIST_SET, append([]byte(s.name), 0))
	b = appendAttribute(b, unix.NFTA_SET_ELEM_LIST_SET_ID, binary.BigEndian.AppendUint32(nil, s.id))
	b, list := openAttribute(b, unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for _, e := range elements {
		b = e.append(b)
	}
	closeAttribute(b, list)
	return b
}

// append encodes one element; written by hand since tables change tens of thousands of them.
func (e element) append(b []byte) []byte {
	b, element := openAttribute(b, unix.NFTA_LIST_ELEM)
	b, key := openAttribute(b, unix.NFTA_SET_ELEM_KEY)
	b = appendAttribute(b, unix.NFTA_DATA_VALUE, e.key)
	closeAttribute(b, key)
	switch {
	case e.chain != "":
		verdict := expr.VerdictGoto
		b2, data := openAttribute(b, unix.NFTA_SET_ELEM_DATA)
		b2, kind := openAttribute(b2, unix.NFTA_DATA_VERDICT)
		b2 = appendAttribute(b2, unix.NFTA_VERDICT_CODE, binary.BigEndian.AppendUint32(nil, uint32(verdict)))
		b2 = appendAttribute(b2, unix.NFTA_VERDICT_CHAIN, append([]byte(e.chain), 0))
		closeAttribute(b2, kind)
		closeAttribute(b2, data)
		b = b2
	case e.value != nil:
		b2, data := openAttribute(b, unix.NFTA_SET_ELEM_DATA)
		b2 = appendAttribute(b2, unix.NFTA_DATA_VALUE, e.value)
		closeAttribute(b2, data)
		b = b2
	}
	if e.timeout != 0 {
		b = appendAttribute(b, unix.NFTA_SET_ELEM_TIMEOUT, binary.BigEndian.AppendUint64(nil, uint64(e.timeout.Milliseconds())))
	}
	closeAttribute(b, element)
	return b
}

// openAttribute begins a nested attribute and says where, closeAttribute notes its length.
func openAttribute(b []byte, typ uint16) (_ []byte, at int) {
	at = len(b)
	b = binary.NativeEndian.AppendUint16(b, 0)
	return binary.NativeEndian.AppendUint16(b, typ|unix.NLA_F_NESTED), at
}

func closeAttribute(b []byte, at int) {
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
}

func appendAttribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// decodeElements hands every element of an answer to fn.
func decodeElements(m netlink.Message, fn func(element) error) error {
	const header = 4 // struct nfgenmsg
	if len(m.Data) < header {
		return errors.New("short answer of nftables")
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[header:])
	if err != nil {
		return err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if ad.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		ad.Nested(func(list *netlink.AttributeDecoder) error {
			for list.Next() {
				list.Nested(func(ad *netlink.AttributeDecoder) error {
					return fn(decodeElement(ad))
				})
			}
			return nil
		})
	}
	return ad.Err()
}

func decodeElement(ad *netlink.AttributeDecoder) element {
	var e element
	value := func(ad *netlink.AttributeDecoder) (v []byte) {
		ad.Nested(func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == unix.NFTA_DATA_VALUE {
					v = ad.Bytes()
				}
			}
			return nil
		})
		return v
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_SET_ELEM_KEY:
			e.key = value(ad)
		case unix.NFTA_SET_ELEM_DATA:
			e.value = value(ad)
		case unix.NFTA_SET_ELEM_TIMEOUT:
			e.timeout = time.Duration(ad.Uint64()) * time.Millisecond
		case unix.NFTA_SET_ELEM_EXPIRATION:
			e.expires = time.Duration(ad.Uint64()) * time.Millisecond
		}
	}
	return e
}

// elements hands every element of a set to fn.
func (s *socket) elements(from set, fn func(element) error) error {
	m, err := request(unix.NFT_MSG_GETSETELEM, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
		ae.String(unix.NFTA_SET_ELEM_LIST_SET, from.name)
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", from.name, err)
	}
	return s.dump(from.name, m, func(m netlink.Message) error { return decodeElements(m, fn) })
}

// lookup asks a set for keys; for a key that is not there the answer is nil.
func (s *socket) lookup(from set, keys [][]byte) ([]*element, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]*element, len(keys))
	for first := 0; first < len(keys); first += lookupsAtOnce {
		last := min(first+lookupsAtOnce, len(keys))
		if err := s.lookupSome(from, keys[first:last], found[first:last]); err != nil {
			return nil, fmt.Errorf("look %d elements of %s up: %w", len(keys), from.name, err)
		}
	}
	return found, nil
}

// lookupsAtOnce keeps the answers, a datagram each, within the receive buffer that an
// unprivileged user namespace gets (net.core.rmem_max).
const lookupsAtOnce = 128

func (s *socket) lookupSome(from set, keys [][]byte, found []*element) error {
	requests := make([]netlink.Message, len(keys))
	for i, key := range keys {
		requests[i] = message(unix.NFT_MSG_GETSETELEM, 0, encodeElements(from, element{key: key}))
	}
	sent, err := s.c.SendMessages(requests)
	if err != nil {
		return err
	}
	begin, open := sent[0].Header.Sequence, len(sent)
	return s.answers(begin, begin+uint32(len(sent)-1), func(m netlink.Message, failure error) (bool, error) {
		switch {
		case errors.Is(failure, unix.ENOENT):
		case failure != nil:
			return true, failure
		default:
			err := decodeElements(m, func(e element) error {
				found[m.Header.Sequence-begin] = &e
				return nil
			})
			if err != nil {
				return true, err
			}
		}
		open--
		return open == 0, nil
	})
}

// connectionKeys are the keys of connections of one family in the CRT: each field padded to 32 bits.
func connectionKeys(changes []connectionChange) [][]byte {
	length := 2 * serviceLength(changes[0].connection.Local)
	b := make([]byte, 0, len(changes)*length)
	keys := make([][]byte, len(changes))
	for i, c := range changes {
		b = appendService(appendService(b, c.connection.Remote), c.connection.Local)
		keys[i] = b[i*length : (i+1)*length : (i+1)*length]
	}
	return keys
}

func serviceKey(service netip.AddrPort) []byte {
	return appendService(make([]byte, 0, serviceLength(service)), service)
}

func serviceLength(s netip.AddrPort) int { return s.Addr().BitLen()/8 + 4 }

func appendService(b []byte, s netip.AddrPort) []byte {
	b, _ = s.Addr().AppendBinary(b) // fails never
	b = binary.BigEndian.AppendUint16(b, s.Port())
	return append(b, 0, 0)
}

// connection reads a key of the CRT.
func (f family) connection(key []byte) (contract.Connection, error) {
	n := int(f.address.Bytes)
	if len(key) != 2*(n+4) {
		return contract.Connection{}, fmt.Errorf("key of %d bytes in the connection routing table, want %d", len(key), 2*(n+4))
	}
	read := func(b []byte) netip.AddrPort {
		a, _ := netip.AddrFromSlice(b[:n])
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[n:]))
	}
	return contract.Connection{Remote: read(key), Local: read(key[n+4:])}, nil
}
