package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A counted is what is read back of a rule: its comment and the packets of its counter, 0
// without one.
type counted struct {
	chain   string
	comment string
	packets uint64
}

// readAttempts bounds how often a listing that a transaction interrupted is begun anew.
const readAttempts = 8

var errInterrupted = errors.New("interrupted by a change of the ruleset")

// rules reads the rules of a chain, in order; there are none of a chain that is not there.
func (s *socket) rules(chain string) ([]counted, error) {
	return s.listRules("chain "+chain, func(ae *netlink.AttributeEncoder) { ae.String(unix.NFTA_RULE_CHAIN, chain) })
}

// allRules reads those of all chains, at the cost of one where chains are short.
func (s *socket) allRules() ([]counted, error) {
	return s.listRules("all chains", func(*netlink.AttributeEncoder) {})
}

func (s *socket) listRules(what string, of func(*netlink.AttributeEncoder)) ([]counted, error) {
	m, err := request(unix.NFT_MSG_GETRULE, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, tableName)
		of(ae)
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	for range readAttempts {
		var rules []counted
		err = s.dump(what, m, func(m netlink.Message) error {
			if m.Header.Flags&unix.NLM_F_DUMP_INTR != 0 {
				return errInterrupted
			}
			r, err := decodeRule(m)
			rules = append(rules, r)
			return err
		})
		if !errors.Is(err, errInterrupted) {
			return rules, err
		}
	}
	return nil, err
}

func decodeRule(m netlink.Message) (counted, error) {
	var r counted
	const header = 4 // struct nfgenmsg
	if len(m.Data) < header {
		return r, errors.New("short answer of nftables")
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[header:])
	if err != nil {
		return r, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_CHAIN:
			r.chain = ad.String()
		case unix.NFTA_RULE_USERDATA:
			r.comment, _ = userdata.GetString(ad.Bytes(), userdata.TypeComment)
		case unix.NFTA_RULE_EXPRESSIONS:
			ad.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(e *netlink.AttributeDecoder) error { return r.count(e) })
				}
				return nil
			})
		}
	}
	return r, ad.Err()
}

// count takes in one expression if it is a counter.
func (r *counted) count(e *netlink.AttributeDecoder) error {
	var name string
	for e.Next() {
		switch e.Type() {
		case unix.NFTA_EXPR_NAME:
			name = e.String()
		case unix.NFTA_EXPR_DATA:
			if name != "counter" {
				continue
			}
			var c expr.Counter
			if err := expr.Unmarshal(unix.NFPROTO_NETDEV, e.Bytes(), &c); err != nil {
				return err
			}
			r.packets += c.Packets
		}
	}
	return nil
}
