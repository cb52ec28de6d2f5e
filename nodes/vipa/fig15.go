package vipa

import (
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// bindTries is how many ports are tried for port 0 when the kernel refuses those that the
// coupling facility selects: a socket on the unspecified address has them, of which the
// coupling facility knows nothing.
const bindTries = 64

// Bind is one bind() on its way through Figure 15, without I/O: Next returns what is to be done
// and takes in what came of it, beginning with the zero Answer, until a Step is Done or Reject. It
// decides by the Addresses that it was made from and is not safe for concurrent use.
type Bind struct {
	asked    netip.AddrPort
	service  netip.AddrPort // asked as its packets have it; the port once it is known
	at       address
	outbound bool

	use    Use
	marked bool // block 208: the port is claimed, and given up unless the bind succeeds
	avoid  []contract.PortRange
	tries  int
	next   func(Answer) Step
	trace  trace
}

// A Step is what one bind needs next: LookUpPort, ActivateRange, Perform, Commit and Abort are to
// be done and answered; Done and Reject end it.
type Step interface{ step() }

// LookUpPort locks the entry of the DVIPA in the coupling facility and claims a port there
// (blocks 204, 205), without a change before Commit. The answer is OutcomeDone with the port;
// OutcomeInUse, where another stack has the port or none is left (206); or OutcomeFailed.
type LookUpPort struct {
	DVIPA netip.Addr
	Port  uint16 // 0: one of the pool
	Use   Use    // Shared or Unique; Unique where Port is 0
	// Avoid are ports that are not to be selected for port 0: those that are enumerated for
	// distribution, and those that the kernel has refused.
	Avoid []contract.PortRange
}

// ActivateRange activates a DVIPA of a VIPARange here (block 226): Step takes a BindInRange. The
// answer is OutcomeDone if it is active afterwards (Addresses.Active), else OutcomeNoAddress.
type ActivateRange struct{ DVIPA netip.Addr }

// Perform binds the socket to Address, in the form that the application gave. The answer is the
// kernel's: OutcomeDone with the port of the socket, OutcomeInUse for EADDRINUSE,
// OutcomeNoAddress for EADDRNOTAVAIL, which decides block 212, else OutcomeFailed.
type Perform struct{ Address netip.AddrPort }

// Commit changes the coupling facility as claimed and unlocks the entry: the bind has succeeded.
// If it fails the socket stays bound and its application gets the error.
type Commit struct{}

// Abort unlocks the entry and leaves it as it was. Its answer is not looked at.
type Abort struct{}

// Reject ends a bind with an error: OutcomeInUse EADDRINUSE (206), OutcomeNoAddress EADDRNOTAVAIL
// (218), OutcomeFailed the error of the last step before an Abort.
type Reject struct{ Because Outcome }

// Done ends a bind that succeeded (block 214 or 228).
type Done struct {
	// Bound is for Step, with ID filled in: block 228. Its Local is the zero AddrPort for an
	// address that is no DVIPA; then Step has nothing to know.
	Bound PortBound
}

func (LookUpPort) step()    {}
func (ActivateRange) step() {}
func (Perform) step()       {}
func (Commit) step()        {}
func (Abort) step()         {}
func (Reject) step()        {}
func (Done) step()          {}

// Outcome is what came of a Step.
type Outcome uint8

// The outcomes; the zero value is success.
const (
	OutcomeDone Outcome = iota
	OutcomeInUse
	OutcomeNoAddress
	OutcomeFailed
)

// Answer tells what came of a Step.
type Answer struct {
	Outcome Outcome
	// Port is what LookUpPort claimed and Perform bound; 0 where OutcomeDone does not hold.
	Port uint16
}

// Bind begins Figure 15 for a bind to the address and port asked for, port 0 included. The
// addresses may be nil: a stack that knows nothing binds conventionally.
func (a *Addresses) Bind(asked netip.AddrPort) *Bind {
	b := &Bind{asked: asked, service: unmapped(asked)}
	b.at = a.at(b.service.Addr())
	b.next = b.block200
	return b
}

// BindSource begins Figure 15 for a connect() without bind: port 0 of a DVIPA that Source chose.
// Its message of block 228 is the NEWCONN of the connection (T38).
func (a *Addresses) BindSource(dvipa netip.Addr) *Bind {
	b := a.Bind(netip.AddrPortFrom(dvipa, 0))
	b.outbound = true
	return b
}

// Next takes the answer to the step before and returns the next one. After Done or Reject it
// returns that again.
func (b *Bind) Next(answer Answer) Step { return b.next(answer) }

// Trace returns the edges passed so far.
func (b *Bind) Trace() []Edge { return b.trace }

// block200: CLUSTERPORTS for the address?
func (b *Bind) block200(Answer) Step {
	if !b.at.clusterPorts {
		b.trace.pass("fig15/200-no->210")
		return b.block210()
	}
	b.trace.pass("fig15/200-yes->203")
	// 203: port 0? I15: such a port is always unique.
	port := b.asked.Port()
	b.use = b.at.use(port)
	if port == 0 {
		b.trace.pass("fig15/203-yes->205")
		b.avoid = slices.Clone(b.at.enumerated())
	} else {
		b.trace.pass("fig15/203-no->204")
	}
	return b.lookUp()
}

func (b *Bind) lookUp() Step {
	b.tries++
	b.next = b.block208
	return LookUpPort{DVIPA: b.service.Addr(), Port: b.asked.Port(), Use: b.use, Avoid: slices.Clone(b.avoid)}
}

// block208: the coupling facility has answered 204 or 205; mark the bind. I13: 205 without a
// port leads to 206.
func (b *Bind) block208(answer Answer) Step {
	selected := b.asked.Port() == 0
	switch {
	case answer.Outcome == OutcomeInUse && selected:
		b.trace.pass("fig15/205-none->206", "fig15/206->end")
		return b.end(Reject{OutcomeInUse})
	case answer.Outcome == OutcomeInUse:
		b.trace.pass("fig15/204-no->206", "fig15/206->end")
		return b.end(Reject{OutcomeInUse})
	case answer.Outcome != OutcomeDone:
		return b.end(Reject{OutcomeFailed})
	case selected:
		b.trace.pass("fig15/205-selected->208")
	default:
		b.trace.pass("fig15/204-yes->208")
	}
	b.marked = true
	b.service = netip.AddrPortFrom(b.service.Addr(), answer.Port)
	b.trace.pass("fig15/208->210")
	return b.block210()
}

// block210: is the address a DVIPA?
func (b *Bind) block210() Step {
	if !b.at.dvipa {
		b.trace.pass("fig15/210-no->212")
		return b.perform(b.block212)
	}
	b.trace.pass("fig15/210-yes->216")
	// 216: configured on this stack (I8)?
	if !b.at.configured {
		b.trace.pass("fig15/216-no->218")
		return b.block218()
	}
	b.trace.pass("fig15/216-yes->220")
	// 220: active on this stack?
	if b.at.active {
		b.trace.pass("fig15/220-yes->224")
		return b.perform(b.block224)
	}
	b.trace.pass("fig15/220-no->222")
	// 222: within a VIPARange of this stack?
	if !b.at.activates {
		b.trace.pass("fig15/222-no->218")
		return b.block218()
	}
	b.next = b.block226
	return ActivateRange{DVIPA: b.service.Addr()}
}

// block226: the DVIPA has been activated, unless another stack came first.
func (b *Bind) block226(answer Answer) Step {
	switch answer.Outcome {
	case OutcomeDone:
		b.trace.pass("fig15/222-yes->226", "fig15/226->224")
		return b.perform(b.block224)
	case OutcomeNoAddress:
		b.trace.pass("fig15/222-no->218")
		return b.block218()
	}
	return b.reject(OutcomeFailed)
}

func (b *Bind) perform(then func(Answer) Step) Step {
	b.next = then
	return Perform{Address: netip.AddrPortFrom(b.asked.Addr(), b.service.Port())}
}

// block212: is the address defined on this stack? The kernel has said so.
func (b *Bind) block212(answer Answer) Step {
	switch answer.Outcome {
	case OutcomeDone:
		// 214: the bind is complete.
		b.trace.pass("fig15/212-yes->214", "fig15/214->end")
		return b.end(Done{})
	case OutcomeNoAddress:
		b.trace.pass("fig15/212-no->218")
		return b.block218()
	}
	b.trace.pass("fig15/212-yes->214")
	return b.reject(answer.Outcome)
}

// block218: error to the application; the coupling facility stays as it was.
func (b *Bind) block218() Step {
	b.trace.pass("fig15/218->end")
	return b.reject(OutcomeNoAddress)
}

// block224: the kernel has bound the socket to the DVIPA, or not. A selected port that it
// refuses is given up for another one.
func (b *Bind) block224(answer Answer) Step {
	switch {
	case answer.Outcome == OutcomeInUse && b.marked && b.asked.Port() == 0 && b.tries < bindTries:
		refused := b.service.Port()
		b.avoid = append(b.avoid, contract.PortRange{First: refused, Last: refused})
		return b.abort(func(Answer) Step {
			b.trace.pass("fig15/200-yes->203", "fig15/203-yes->205")
			return b.lookUp()
		})
	case answer.Outcome != OutcomeDone:
		return b.reject(answer.Outcome)
	}
	b.service = netip.AddrPortFrom(b.service.Addr(), answer.Port)
	if !b.marked {
		return b.block228(Answer{})
	}
	b.next = b.block228
	return Commit{}
}

// block228: the routing stack is told of a unique port, by the Step that takes Bound.
func (b *Bind) block228(answer Answer) Step {
	if answer.Outcome != OutcomeDone {
		return b.end(Reject{OutcomeFailed})
	}
	b.trace.pass("fig15/224->228", "fig15/228->end")
	return b.end(Done{Bound: PortBound{
		Local: b.service, Use: b.use, Outbound: b.outbound, Chosen: b.asked.Port() == 0,
	}})
}

// reject gives up the claim, if there is one, and ends the bind.
func (b *Bind) reject(because Outcome) Step {
	if !b.marked {
		return b.end(Reject{because})
	}
	return b.abort(func(Answer) Step { return b.end(Reject{because}) })
}

func (b *Bind) abort(then func(Answer) Step) Step {
	b.marked = false
	b.next = then
	return Abort{}
}

func (b *Bind) end(last Step) Step {
	b.next = func(Answer) Step { return last }
	return last
}

var fig15Edges = []Edge{
	"fig15/200-no->210", "fig15/200-yes->203",
	"fig15/203-no->204", "fig15/203-yes->205",
	"fig15/204-no->206", "fig15/204-yes->208",
	"fig15/205-none->206", "fig15/205-selected->208",
	"fig15/206->end", "fig15/208->210",
	"fig15/210-no->212", "fig15/210-yes->216",
	"fig15/212-no->218", "fig15/212-yes->214", "fig15/214->end",
	"fig15/216-no->218", "fig15/216-yes->220", "fig15/218->end",
	"fig15/220-yes->224", "fig15/220-no->222",
	"fig15/222-no->218", "fig15/222-yes->226", "fig15/226->224",
	"fig15/224->228", "fig15/228->end",
}
