package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Partner is a scripted partner of the stack under test. Its methods end the spec where the
// stack does not do what is expected; those of the Peer within return errors.
type Partner struct {
	*peer.Peer
	// XCF is the partner's XCF address, Link its interface as the capture names it.
	XCF   netip.Addr
	Link  string
	n     int
	trial *UnitTrial
	// identity is what it says it is.
	identity contract.Member
	// list is the last one that the partner said.
	list contract.VIPAList
	// marker is a connection of the partner, once it has settled.
	marker contract.Connection
}

// Introduce starts partner MVSn, which then says HELLO; it takes part in the handshake and
// says nothing else by itself. change, where not nil, may make it another one than it should be.
func (u *UnitTrial) Introduce(n int, change func(*peer.Config)) *Partner {
	ginkgo.GinkgoHelper()
	name, address := stackName(n), u.family.XCF(n)
	anyAddress := netip.AddrPortFrom(u.family.Any, contract.HelloPort)
	key, err := u.Lab.Key(u.ctx)
	verdict.Engine(err, "ask for the plex key")
	packets, err := u.Lab.ListenPacket(u.ctx, name, "udp", anyAddress)
	verdict.Engine(err, "open HELLO socket of %s", name)
	verdict.Engine(hearGroup(packets, address), "join the HELLO group on %s", name)
	speak, err := u.Lab.ListenPacket(u.ctx, name, "udp", netip.AddrPortFrom(address, 0))
	verdict.Engine(err, "open HELLO socket of %s", name)
	listener, err := u.Lab.Listen(u.ctx, name, "tcp", netip.AddrPortFrom(address, 0))
	verdict.Engine(err, "open XCF socket of %s", name)
	config := peer.Config{
		Identity: contract.Identity{Plex: u.Plan.Name, Member: contract.Member{
			Stack: name, XCF: address, Incarnation: newIncarnation(),
		}},
		Partner: u.family.XCF(u.self), Key: contract.Key(key),
		Packets: packets, Speak: speak, Listener: listener,
		Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return u.Lab.Dial(ctx, name, "tcp", netip.AddrPortFrom(address, 0), to)
		},
		HelloTo: netip.AddrPortFrom(u.family.helloGroup(), contract.HelloPort),
	}
	if change != nil {
		change(&config)
	}
	started, err := peer.Start(config)
	verdict.Engine(err, "start scripted partner %s", name)
	ginkgo.DeferCleanup(started.Close)
	p := &Partner{Peer: started, n: n, XCF: address, Link: name + "/" + u.link(name), trial: u, identity: config.Identity.Member}
	u.told = append(u.told, func() (string, string) {
		var text strings.Builder
		for _, entry := range p.Record() {
			fmt.Fprintln(&text, entry)
		}
		return name + "-messages.txt", text.String()
	})
	return p
}

// helloGroup is where HELLOs go: to every address of the XCF network, or to the group of HELLOs.
func (f Family) helloGroup() netip.Addr {
	if f.xcf.Addr().Is6() {
		return contract.HelloMulticast
	}
	return f.XCF(255)
}

// hearGroup lets a socket hear the group of HELLOs on the one link that its node has, for IPv6.
func hearGroup(packets net.PacketConn, own netip.Addr) error {
	if own.Is4() {
		return nil
	}
	raw, err := packets.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		group := &unix.IPv6Mreq{Multiaddr: contract.HelloMulticast.As16()}
		failure = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group)
	})
	return errors.Join(err, failure)
}

// Join starts partner MVSn and waits until it is a member and has the list of the stack under
// test, which it answers with END_OF_LIST: it holds nothing.
func (u *UnitTrial) Join(n int) *Partner {
	ginkgo.GinkgoHelper()
	p := u.Introduce(n, nil)
	p.WaitMember()
	p.ExpectList()
	p.Say(contract.EndOfList{})
	return p
}

// WaitMember waits for an authenticated XCF connection with the stack under test.
func (p *Partner) WaitMember() contract.Member {
	ginkgo.GinkgoHelper()
	member, err := p.WaitJoined(p.trial.Soon())
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return member
}

// ExpectList waits for the next VIPA_LIST.
func (p *Partner) ExpectList() contract.VIPAList {
	ginkgo.GinkgoHelper()
	return p.ExpectMessage(peer.Of[contract.VIPAList]("VIPA_LIST", nil)).(contract.VIPAList)
}

// Say sends messages to the stack under test, which has to keep the connection.
func (p *Partner) Say(messages ...contract.Message) {
	ginkgo.GinkgoHelper()
	for _, m := range messages {
		err := p.Send(m)
		reset := errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
		gomega.Expect(reset).To(gomega.BeFalse(), "the stack under test has ended its connection with %s", p.identity.Stack)
		verdict.Engine(err, "send %s", m.Kind())
		if list, ok := m.(contract.VIPAList); ok {
			p.list = list
		}
	}
}

// ExpectMessage waits for a message of the stack under test; those before it are passed over.
func (p *Partner) ExpectMessage(match peer.Match) contract.Message {
	ginkgo.GinkgoHelper()
	message, err := p.Expect(p.trial.Soon(), match)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return message
}

// Settled waits until the stack under test has taken in everything that the partner said: it
// answers a list, here the partner's last one again, with END_OF_LIST.
func (u *UnitTrial) Settled(p *Partner) {
	ginkgo.GinkgoHelper()
	p.Passed()
	p.Say(p.list)
	p.ExpectMessage(peer.Of[contract.EndOfList]("END_OF_LIST", nil))
}

// EndLists ends every list that the partner was told: it holds nothing more than it has said.
func (u *UnitTrial) EndLists(p *Partner) {
	ginkgo.GinkgoHelper()
	u.Settled(p)
	for range Told[contract.VIPAList](p.Said()) {
		p.Say(contract.EndOfList{})
	}
	u.Settled(p)
}

// ExpectNoMessage watches for Quiet that no message comes that matches.
func (p *Partner) ExpectNoMessage(match peer.Match) {
	ginkgo.GinkgoHelper()
	gomega.Expect(p.ExpectNone(p.trial.Shortly(), match)).To(gomega.Succeed())
}

// SRVSTAT is what the partner says when listening on a service begins or ends there, at the
// epoch of the list that it was told.
func (p *Partner) SRVSTAT(service netip.AddrPort, listening bool) contract.SRVSTAT {
	return contract.SRVSTAT{Service: service, XCF: p.XCF, Listening: listening, Epoch: p.Epoch(service.Addr())}
}

// NEWCONN is what the partner says of connections to one DVIPA that it holds, at least one.
func (p *Partner) NEWCONN(connections ...contract.Connection) contract.NEWCONN {
	dvipa := connections[0].Local.Addr()
	return contract.NEWCONN{DVIPA: dvipa, XCF: p.XCF, Connections: connections, Epoch: p.Epoch(dvipa)}
}

// TERMCONN is what the partner says of connections to one DVIPA that it holds no more, at least one.
func (p *Partner) TERMCONN(connections ...contract.Connection) contract.TERMCONN {
	dvipa := connections[0].Local.Addr()
	return contract.TERMCONN{DVIPA: dvipa, XCF: p.XCF, Connections: connections, Epoch: p.Epoch(dvipa)}
}

// Epoch is that of the last list of the stack under test for a DVIPA; 0 if it lists none.
func (p *Partner) Epoch(dvipa netip.Addr) uint64 {
	epoch := uint64(0)
	for _, entry := range p.Messages() {
		list, ok := entry.Message.(contract.VIPAList)
		if !ok {
			continue
		}
		for _, d := range list.DVIPAs {
			if d.Prefix.Addr() == dvipa {
				epoch = d.Epoch
			}
		}
	}
	return epoch
}

// Owns is a list in which the partner owns one DVIPA of network 44 and distributes it.
func (p *Partner) Owns(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.VIPAList {
	return contract.VIPAList{DVIPAs: []contract.DVIPA{{
		Prefix: p.trial.family.OnNetwork44(dvipa), Role: contract.RolePrimary, Owner: true, Epoch: epoch, Distribution: &d,
	}}}
}
