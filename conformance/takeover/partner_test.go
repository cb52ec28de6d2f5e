package takeover

import (
	"fmt"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// joinOutside is Join of a partner that has a link to network 44.
func joinOutside(u *trial.UnitTrial, n int) *trial.Partner {
	GinkgoHelper()
	p := u.Introduce(n, func(c *peer.Config) { c.Identity.Outside = true })
	p.WaitMember()
	p.ExpectList()
	p.Say(contract.EndOfList{})
	return p
}

// stacks makes stacks candidate targets by their numbers, on every port.
func stacks(f trial.Family, numbers ...int) *contract.Distribution {
	d := &contract.Distribution{}
	for _, n := range numbers {
		d.Targets = append(d.Targets, contract.Target{XCF: f.XCF(n), Weight: 1})
	}
	return d
}

// primary, backup and range are entries of lists: their sender owns the DVIPA at an epoch, or would
// where the epoch is 0.
func primary(f trial.Family, dvipa netip.Addr, epoch uint64, d *contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: f.OnNetwork44(dvipa), Role: contract.RolePrimary, Owner: epoch > 0, Epoch: epoch, Distribution: d,
	}
}

func backup(f trial.Family, dvipa netip.Addr, epoch uint64, rank uint8, d *contract.Distribution) contract.DVIPA {
	entry := primary(f, dvipa, epoch, d)
	entry.Role, entry.Rank = contract.RoleBackup, rank
	return entry
}

func inRange(f trial.Family, dvipa netip.Addr, epoch uint64) contract.DVIPA {
	entry := primary(f, dvipa, epoch, nil)
	entry.Role = contract.RoleRange
	return entry
}

// owns matches a list in which the stack under test owns DVIPAs above an epoch.
func owns(epoch uint64, dvipas ...netip.Addr) peer.Match {
	return peer.Of(fmt.Sprintf("in which it owns %v above epoch %d", dvipas, epoch), func(list contract.VIPAList) bool {
		for _, dvipa := range dvipas {
			if owned(list, dvipa) <= epoch {
				return false
			}
		}
		return true
	})
}

// owned is the epoch at which the sender of a list owns a DVIPA, 0 if it does not.
func owned(list contract.VIPAList, dvipa netip.Addr) uint64 {
	for _, entry := range list.DVIPAs {
		if entry.Prefix.Addr() == dvipa && entry.Owner {
			return entry.Epoch
		}
	}
	return 0
}

// answersFor is address resolution by which its sender says that it has an address.
func answersFor(dvipa netip.Addr) capture.Match {
	return capture.Where("an answer for "+dvipa.String(), func(d segment.Decoded) bool { return d.Holder() == dvipa })
}

// asksFor is a question for who has an address.
func asksFor(address netip.Addr) capture.Match {
	return capture.Where("a question for "+address.String(), func(d segment.Decoded) bool {
		return d.Kind == segment.ARPKind && !d.ARP.Reply && d.ARP.TargetIP == address && d.ARP.SenderIP != address ||
			d.Kind == segment.NDPKind && !d.NDP.Advertisement && d.NDP.Target == address
	})
}

// answered is an answer to a question for an address.
func answered(address netip.Addr) capture.Match {
	return capture.Where("an answer to who has "+address.String(), func(d segment.Decoded) bool {
		return d.Holder() == address && (d.ARP.Reply || d.NDP.Advertisement)
	})
}

// expectDropped sends a segment and expects that the stack under test neither answers nor forwards it, on either
// network; nor does it ask network 44 for where to forward it to, or tell the sender of a better way. What it answers to a
// segment to its own address is the marker.
func expectDropped(u *trial.UnitTrial, f trial.Family, self int, s segment.Segment, partners ...*trial.Partner) {
	GinkgoHelper()
	since := u.Capture.Mark()
	u.Send(s)
	u.ExpectArrived(s)
	stray := segment.NewACK(u.From(), trial.At(f.Outside(self), trial.MarkerPort), 1, 1)
	u.Send(stray)
	marker := segment.Pattern{Src: stray.Dst, Dst: stray.Src, Has: segment.RST}
	because := capture.Where("anything because of "+s.String(), func(d segment.Decoded) bool {
		ends := [...]netip.AddrPort{d.Segment.Src, d.Segment.Dst}
		return ends == [...]netip.AddrPort{s.Src, s.Dst} || ends == [...]netip.AddrPort{s.Dst, s.Src} || d.Kind == segment.ICMPError ||
			asksFor(s.Dst.Addr()).Match(d)
	})
	Expect(u.Capture.On(u.OutsideLink).Sent().After(since).NoneBefore(u.Soon(), because, marker)).To(Succeed())
	Expect(u.Capture.On(u.XCFLink).Sent().After(since).Matching(segment.Pattern{Src: s.Src, Dst: s.Dst})).To(BeEmpty(), "what %s forwards of %s", u.Stack, s)
}
