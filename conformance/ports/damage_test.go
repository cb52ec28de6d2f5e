package ports

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// A tenancy is a stack with things to lose: a port in use, a s.server, and a connection to it.
type tenancy struct {
	*stack
	client *segment.Conn
}

// newTenancy starts a stack that owns DVA1 and DVB1, both with cluster-wide ports.
func newTenancy(f trial.Family) *tenancy {
	GinkgoHelper()
	s := newOwner(f, trial.UnitConfig{Profile: owner("VIPADEFINE CLUSTERPORTS MASK DVB1")})
	s.program.Binds("a", f.At(5000))
	s.program.Listens("l", f.At(80))
	client, err := s.Client().Dial(s.Soon(), 30000, f.At(80))
	verdict.Stimulus(err, "a connection to %s", f.At(80))
	s.program.Do("accept l c")
	return &tenancy{stack: s, client: client}
}

// goesOn expects that the connection carries data both ways.
func (t *tenancy) goesOn() {
	GinkgoHelper()
	Expect(t.client.Write(t.Soon(), []byte("ping"))).To(Succeed())
	Expect(t.program.Do("receive c").Text).To(Equal("ping"))
	t.program.Do("send c pong")
	answer, err := t.client.Read(t.Soon())
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal("pong"))
}

// recovers expects that the file is there again, filled with what the stack holds, and that binds are
// served.
func (t *tenancy) recovers() {
	GinkgoHelper()
	t.EventuallyPorts(t.Stack, control.PortsOK)
	ports := t.PortFile()
	ports.Eventually(t.f.At(5000), "unique MVS1")
	ports.Eventually(t.f.At(80), "shared MVS1")
	ports.ExpectClean(t.f.DVA1, t.f.DVB1)
	Eventually(func() portfile.FileState { return ports.Header().State }).Should(Equal(portfile.Settled), "state of the file")
	ports.Expect(t.program.Binds("z", t.f.At(0)), "unique MVS1")
	t.goesOn()
}

// version is where the version of the layout stands in the file.
const version = 8

// ofTheFile are damages of the file as a whole. They concern DVIPAs of either family alike: with IPv6 one has to do.
func ofTheFile(f trial.Family) []TableEntry {
	all := []TableEntry{
		Entry("truncated to nothing", requirements.Covers("I24"), func(p *trial.PortFile) { p.Truncate(0) }),
		Entry("truncated within its entries", requirements.Covers("I24"), func(p *trial.PortFile) { p.Truncate(portfile.EntriesOffset) }),
		Entry("of another version", requirements.Covers("I24"), func(p *trial.PortFile) { p.Overwrite(version, []byte{99}) }),
		Entry("that is none", requirements.Covers("I24"), func(p *trial.PortFile) { p.Overwrite(0, make([]byte, portfile.HeaderSize)) }),
	}
	if f.DVA1.Is6() {
		return all[:1]
	}
	return all
}

var _ = trial.DescribeFamilies("a port file that is damaged", func(f trial.Family) {
	// Binds that need the file fail with a clear error, in the log too; what is open goes on; the
	// stack says that it is degraded and what to do: remove the file, and the stacks make it anew
	// and fill it with what they hold (I24).
	DescribeTable("fails binds, and nothing else",
		func(damage func(*trial.PortFile)) {
			t := newTenancy(f)
			ports := t.PortFile()
			damage(ports)
			told := t.EventuallyPorts(t.Stack, control.PortsDegraded)
			Expect(told.Problem).NotTo(BeEmpty(), "what the stack says of the damage")
			t.program.Refused(unix.EIO, f.At(0))
			t.program.Refused(unix.EIO, at(f.DVB1, 5000))
			t.program.Binds("free", at(f.XCF(1), 0))
			t.EventuallyLogged(t.Stack, "/ports")
			t.goesOn()
			ports.Unlink()
			t.recovers()
		},
		ofTheFile(f),
	)

	// Damage to one entry is that of one DVIPA.
	It("in one entry fails binds to that DVIPA", requirements.Covers("I24", "T43"), func() {
		t := newTenancy(f)
		ports := t.PortFile()
		ports.DamageEntry(f.DVA1)
		t.program.Refused(unix.EIO, f.At(0))
		ports.Expect(t.program.Binds("b", at(f.DVB1, 0)), "unique MVS1")
		Eventually(func() map[string]string {
			states := map[string]string{}
			for _, d := range t.Ports(t.Stack).DVIPAs {
				states[d.DVIPA.String()] = d.State
			}
			return states
		}).WithPolling(trial.AskPorts).Should(Equal(map[string]string{f.DVA1.String(): control.PortsDegraded, f.DVB1.String(): control.PortsOK}))
		Expect(t.Ports(t.Stack).Findings).To(BeEmpty(), "what the audit finds of what is not damaged")
		t.goesOn()
		ports.Unlink()
		t.recovers()
	})

	// What a stack left to rest that failed rests in the next file too, as far as those know that go on.
	It("is made anew with the ports that rest", requirements.Covers("I24", "I22", "I30"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		tenant := s.Tenant(2)
		tenant.Take(f.DVA1, true, 5000)
		tenant.End()
		s.mvs2.Close()
		ports := s.PortFile()
		ports.Eventually(f.At(5000), "resting")
		ports.Truncate(0)
		s.EventuallyPorts(s.Stack, control.PortsDegraded)
		ports.Unlink()
		s.EventuallyPorts(s.Stack, control.PortsOK)
		s.PortFile().Eventually(f.At(5000), "resting")
	})

	// A file that is not there any more is made anew without anybody's help.
	It("by being unlinked is made anew and filled", requirements.Covers("I24", "T20"), func() {
		t := newTenancy(f)
		before := t.PortFile()
		id := before.Header().ID
		before.Unlink()
		Eventually(func() [16]byte { return t.PortFile().Header().ID }).ShouldNot(Equal(id), "the identity of the file")
		t.recovers()
	})

	// Until every stack that lived in the old file has told what it holds nothing is given out of the
	// new one, since it could be somebody's: MVS2 lives and does not register.
	It("is not used before every stack has filled it", requirements.Covers("I24"), func() {
		t := newTenancy(f)
		tenant := t.Tenant(2)
		tenant.Take(f.DVA1, true, 5001)
		tenant.Unlink()
		t.EventuallyPorts(t.Stack, control.PortsFilling)
		Eventually(func() string { return t.Ports(t.Stack).Problem }).WithPolling(trial.AskPorts).Should(ContainSubstring("MVS2"), "whom the stack waits for")
		t.program.Refused(unix.EAGAIN, f.At(5001))
		t.goesOn()
		tenant.End()
		t.mvs2.Close()
		t.recovers()
	})

	// A full disk: nothing new can be made, what there is goes on.
	It("for want of room fails binds, and nothing else", requirements.Covers("I24"), func() {
		t := newTenancy(f)
		drain := t.FillDisk(t.Stack)
		t.PortFile().Unlink()
		t.EventuallyPorts(t.Stack, control.PortsDegraded)
		t.program.Refused(unix.ENOSPC, f.At(0))
		t.goesOn()
		drain()
		t.recovers()
	})
})
