package vipa_test

import (
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// couplingFacility is a model of what the stacks share: which stack has which port of a DVIPA.
type couplingFacility struct {
	pool contract.PortRange
	// held is by port and XCF address of the holders.
	held map[netip.AddrPort]map[netip.Addr]vipa.Use
	next uint16 // where the selection goes on
}

func newCouplingFacility(pool contract.PortRange) *couplingFacility {
	return &couplingFacility{pool: pool, held: make(map[netip.AddrPort]map[netip.Addr]vipa.Use), next: pool.First}
}

// lookUp is block 204 or 205, without a change.
func (cf *couplingFacility) lookUp(l vipa.LookUpPort, holder netip.Addr) vipa.Answer {
	if l.Port != 0 {
		if cf.available(netip.AddrPortFrom(l.DVIPA, l.Port), l.Use, holder) {
			return vipa.Answer{Port: l.Port}
		}
		return vipa.Answer{Outcome: vipa.OutcomeInUse}
	}
	cf.next = min(max(cf.next, cf.pool.First), cf.pool.Last)
	for range int(cf.pool.Last-cf.pool.First) + 1 {
		port := cf.next
		cf.next++
		if cf.next > cf.pool.Last {
			cf.next = cf.pool.First
		}
		avoid := slices.ContainsFunc(l.Avoid, func(r contract.PortRange) bool { return r.First <= port && port <= r.Last })
		if !avoid && len(cf.held[netip.AddrPortFrom(l.DVIPA, port)]) == 0 {
			return vipa.Answer{Port: port}
		}
	}
	return vipa.Answer{Outcome: vipa.OutcomeInUse}
}

// available is block 204 with I15 and I18.
func (cf *couplingFacility) available(service netip.AddrPort, use vipa.Use, holder netip.Addr) bool {
	if _, own := cf.held[service][holder]; own {
		return true
	}
	for _, other := range cf.held[service] {
		if use == vipa.Unique || other == vipa.Unique {
			return false
		}
	}
	return true
}

// commit is the change of block 208; a port that the stack has already stays as it is.
func (cf *couplingFacility) commit(service netip.AddrPort, use vipa.Use, holder netip.Addr) {
	if cf.held[service] == nil {
		cf.held[service] = make(map[netip.Addr]vipa.Use)
	}
	if _, own := cf.held[service][holder]; !own {
		cf.held[service][holder] = use
	}
}

// release is block 190.
func (cf *couplingFacility) release(service netip.AddrPort, holder netip.Addr) {
	delete(cf.held[service], holder)
}

// reclaim gives back what a stack had that is gone.
func (cf *couplingFacility) reclaim(holder netip.Addr) {
	for service := range cf.held {
		cf.release(service, holder)
	}
}

// binding carries out the steps of one bind against the model.
type binding struct {
	cf       *couplingFacility
	holder   netip.Addr
	activate func(vipa.ActivateRange) vipa.Answer
	kernel   func(vipa.Perform) vipa.Answer
	commit   func() vipa.Outcome // nil: it succeeds
	down     bool                // the coupling facility does not answer
	note     func(vipa.Step)     // nil: nobody looks
	lookedUp vipa.LookUpPort
	claimed  uint16
}

// run returns the last step: Done or Reject.
func (b *binding) run(bind *vipa.Bind) vipa.Step {
	answer := vipa.Answer{}
	for {
		step := bind.Next(answer)
		if b.note != nil {
			b.note(step)
		}
		answer = vipa.Answer{}
		switch step := step.(type) {
		case vipa.LookUpPort:
			b.lookedUp = step
			answer = b.cf.lookUp(step, b.holder)
			if b.down {
				answer = vipa.Answer{Outcome: vipa.OutcomeFailed}
			}
			b.claimed = answer.Port
		case vipa.ActivateRange:
			answer = b.activate(step)
		case vipa.Perform:
			answer = b.kernel(step)
		case vipa.Commit:
			if b.commit != nil {
				answer.Outcome = b.commit()
			}
			if answer.Outcome == vipa.OutcomeDone {
				b.cf.commit(netip.AddrPortFrom(b.lookedUp.DVIPA, b.claimed), b.lookedUp.Use, b.holder)
			}
		case vipa.Done, vipa.Reject:
			return step
		}
	}
}
