package fig06

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A way is one in which a socket, which has the name "a" in the program, ends. Steps are those after
// which it lives on.
type way struct {
	before string // an order before the socket is there
	steps  []string
	last   string // the order that ends the socket; empty: the program is killed
}

// The ways. A socket ends with the last of its descriptors, whichever process has it.
var (
	closed    = way{last: "close a"}
	killed    = way{}
	severalOf = way{steps: []string{"dup a b", "close a"}, last: "close b"}
	forked    = way{steps: []string{"fork child", "kill child"}, last: "close a"}
	inherited = way{steps: []string{"fork child", "close a"}, last: "in child close a"}
	childDies = way{steps: []string{"fork child", "close a"}, last: "kill child"}
	handedOn  = way{before: "fork child", steps: []string{"pass a child", "close a"}, last: "in child close a"}
)

// ends takes a socket through a way. While it lives its port stays held.
func (t *target) ends(w way, lives func()) {
	GinkgoHelper()
	for _, step := range w.steps {
		t.program.Do(step)
		lives()
	}
	if w.last == "" {
		t.program.Kill()
		return
	}
	t.program.Do(w.last)
}

var _ = trial.DescribeFamilies("the port of a socket", func(f trial.Family) {
	// "The socket is closed" (600) when nobody has it any more: its process ended, or the last of
	// several descriptors of it is closed, in whatever process. Until then the port stays in use, and
	// then it is available, with nobody told of a socket that never listened.
	DescribeTable("that is bound is given back when the socket ends",
		func(w way) {
			t := newTarget(f, "", clustered(f))
			if w.before != "" {
				t.program.Do(w.before)
			}
			service := t.program.Binds("a", f.At(0))
			t.ports.Expect(service, "unique MVS1")
			t.ends(w, func() {
				t.passes()
				t.ports.Expect(service, "unique MVS1")
			})
			t.ports.Eventually(service, "available")
			t.ports.ExpectClean(f.DVA1)
		},
		Entry("closed", requirements.Covers("fig06/600->602", "I18"), closed),
		Entry("by the end of its process", requirements.Covers("fig06/600->602", "I18"), killed),
		Entry("by the last of several descriptors", requirements.Covers("fig06/600->602", "I18"), severalOf),
		Entry("in the parent, after a forked copy", requirements.Covers("fig06/600->602", "I18"), forked),
		Entry("in a forked copy, after the parent", requirements.Covers("fig06/600->602", "I18"), inherited),
		Entry("by the end of a forked copy", requirements.Covers("fig06/600->602", "I18"), childDies),
		Entry("in the process it was handed to", requirements.Covers("fig06/600->602", "I18"), handedOn),
	)

	// A listening socket in the same ways: while it lives it goes on listening and nobody hears of its
	// end; with it end the route and the port.
	DescribeTable("that listens is given back when the socket ends, and the owner is told",
		func(w way) {
			t := newTarget(f, "", clustered(f))
			if w.before != "" {
				t.program.Do(w.before)
			}
			service := t.program.Listens("a", f.At(0))
			t.mvs2.ExpectMessage(peer.Is(t.Unique(service, true)))
			visitor := t.mvs2.Visitor()
			next := uint16(20000)
			t.ends(w, func() {
				next++
				conn, err := visitor.Dial(t.Soon(), next, service)
				Expect(err).NotTo(HaveOccurred(), "a connection to a socket that lives")
				verdict.Engine(conn.Reset(t.Soon()), "end it")
				Expect(t.mvs2.Said()).NotTo(ContainElement(t.Unique(service, false)))
			})
			t.mvs2.ExpectMessage(peer.Is(t.Unique(service, false)))
			t.ports.Eventually(service, "available")
		},
		Entry("by the end of its process", requirements.Covers("fig06/604-yes->608", "fig06/608->610", "I18"), killed),
		Entry("by the last of several descriptors", requirements.Covers("fig06/604-yes->608", "I18"), severalOf),
		Entry("by the end of a forked copy", requirements.Covers("fig06/604-yes->608", "I18"), childDies),
		Entry("in the process it was handed to", requirements.Covers("fig06/604-yes->608", "I18"), handedOn),
	)

	// The port is in use as long as any socket of the stack uses it (I18): after the listener
	// its connection, and after that what the kernel remembers of it in TIME_WAIT. The route ended
	// with the listener.
	It("is given back when its last connection has gone", requirements.Covers("I18", "fig06/604-yes->608"), func() {
		t := newTarget(f, "", clustered(f))
		service := t.program.Listens("a", f.At(0))
		conn, err := t.mvs2.Visitor().Dial(t.Soon(), 20000, service)
		verdict.Stimulus(err, "a connection to %s", service)
		t.program.Do("accept a b", "close a")
		t.mvs2.ExpectMessage(peer.Is(t.Unique(service, false)))
		t.held(service)

		t.program.Do("shutdown b", "close b") // the server ends first
		_, err = conn.Read(t.Soon())
		Expect(err).To(MatchError("EOF"))
		t.held(service)
		verdict.Engine(conn.Close(t.Soon()), "close the client's end")
		_, err = conn.Receive(t.Soon())
		verdict.Stimulus(err, "the client's FIN, by its acknowledgement")
		t.held(service)

		t.EndRemnants(t.Stack, service)
		t.ports.Eventually(service, "available")
	})
}, trial.Needing(impl.ClusterPorts))

// held expects that a port stays in use.
func (t *target) held(service netip.AddrPort) {
	GinkgoHelper()
	t.passes()
	t.ports.Expect(service, "unique MVS1")
}
