package main

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/sockets"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Bind is Figure 15 for an application's bind().
func (s *stack) Bind(ctx context.Context, request sockets.BindRequest, perform func(netip.AddrPort) (netip.AddrPort, error)) error {
	var bind *vipa.Bind
	err := s.claimed(ctx, func() error {
		s.binds.RLock()
		defer s.binds.RUnlock()
		bind = s.addresses.Load().Bind(request.Address)
		_, err := s.carryOut(ctx, bind, past{request.Cookie, request.NeverConnected}, perform)
		return err
	})
	s.trace.add("bind "+request.Address.String(), bind.Trace())
	return err
}

// past is a socket with what lies behind it.
type past struct {
	cookie         uint64
	neverConnected bool
}

// carryOut does what a bind needs, step by step, and returns where the socket is bound if that is a
// DVIPA. The entry of the coupling facility stays locked from the first look until the kernel
// has bound the socket or refused (T33). The core is told before the application goes on. The
// caller holds s.binds since before it looked at the addresses.
func (s *stack) carryOut(ctx context.Context, bind *vipa.Bind, of past, perform func(netip.AddrPort) (netip.AddrPort, error)) (vipa.PortBound, error) {
	var claim cf.Claim
	var dvipa netip.Addr // of the claim
	var answer vipa.Answer
	var err error // of the last step
	for {
		switch step := bind.Next(answer).(type) {
		case vipa.LookUpPort:
			dvipa = step.DVIPA
			claim, err = s.claim(ctx, step)
			answer = outcome(err)
			if err == nil {
				answer.Port = claim.Port()
			}
		case vipa.ActivateRange:
			answer, err = s.activateRange(ctx, step.DVIPA)
		case vipa.Perform:
			var local netip.AddrPort
			local, err = s.perform(step.Address, perform)
			answer = outcome(err)
			answer.Port = local.Port()
		case vipa.Commit:
			s.clerk.claims.note(netip.AddrPortFrom(dvipa, claim.Port()))
			err = claim.Commit()
			answer = outcome(err)
		case vipa.Abort:
			claim.Abort()
			answer = vipa.Answer{}
		case vipa.Reject:
			return vipa.PortBound{}, s.rejection(step, err)
		case vipa.Done:
			bound := step.Bound
			if bound.Local.IsValid() {
				bound.ID, bound.NeverConnected = of.cookie, of.neverConnected
				s.monitor.Bound(bound.ID, bound.Local)
				s.loop.postLater(bound)
			}
			return bound, nil
		}
	}
}

// claim is blocks 204 and 205. Where owners keep the tables of ports (T35), a DVIPA of a VIPARange that nobody owns has
// none: what block 226 would do after the claim comes before it. If the bind fails after all, nothing uses the
// DVIPA, and it is withdrawn (I31).
func (s *stack) claim(ctx context.Context, step vipa.LookUpPort) (cf.Claim, error) {
	if s.distributor != nil && s.addresses.Load().Activates(step.DVIPA) && !s.distributor.Kept(step.DVIPA) {
		switch answer, err := s.activateRange(ctx, step.DVIPA); {
		case err != nil:
			return nil, err
		case answer.Outcome == vipa.OutcomeNoAddress:
			return nil, unix.EADDRNOTAVAIL
		}
	}
	return s.facility.Claim(ctx, cf.Request{DVIPA: step.DVIPA, Port: step.Port, Use: cfUse(step.Use), Avoid: step.Avoid})
}

// perform has the kernel bind a socket, and returns where. A DVIPA that this stack has by now, as the lists say that went out, is an address
// of the kernel's when the loop has done all that it decided: where it is none yet, that is waited for.
func (s *stack) perform(to netip.AddrPort, bind func(netip.AddrPort) (netip.AddrPort, error)) (netip.AddrPort, error) {
	local, err := bind(to)
	if !errors.Is(err, unix.EADDRNOTAVAIL) || !s.addresses.Load().Active(to.Addr()) {
		return local, err
	}
	if s.loop.look(noticeLimit, func() {}) != nil {
		return local, err
	}
	return bind(to)
}

// activateRange is block 226.
func (s *stack) activateRange(ctx context.Context, dvipa netip.Addr) (vipa.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	answered := s.activations.add(dvipa)
	defer s.activations.remove(dvipa, answered)
	s.loop.post(vipa.BindInRange{DVIPA: dvipa})
	select {
	case reason := <-answered:
		if reason == "" {
			return vipa.Answer{}, nil
		}
		s.log.Warn("bind refused", "dvipa", dvipa, "reason", reason)
		return vipa.Answer{Outcome: vipa.OutcomeNoAddress}, nil
	case <-ctx.Done():
		return vipa.Answer{Outcome: vipa.OutcomeFailed}, ctx.Err()
	}
}

// outcome is what the core makes of an error.
func outcome(err error) vipa.Answer {
	switch {
	case err == nil:
		return vipa.Answer{}
	case errors.Is(err, unix.EADDRINUSE):
		return vipa.Answer{Outcome: vipa.OutcomeInUse}
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return vipa.Answer{Outcome: vipa.OutcomeNoAddress}
	}
	return vipa.Answer{Outcome: vipa.OutcomeFailed}
}

// rejection is what the application gets, a *cf.ExhaustedError where no port was left. What the coupling facility
// could not do is for a person to know too.
func (s *stack) rejection(step vipa.Reject, err error) error {
	switch step.Because {
	case vipa.OutcomeInUse:
		if errors.As(err, new(*cf.ExhaustedError)) {
			return err
		}
		return unix.EADDRINUSE
	case vipa.OutcomeNoAddress:
		return unix.EADDRNOTAVAIL
	}
	var busy *cf.BusyError
	var damaged *cf.DamagedError
	var filling *cf.FillingError
	var owner *cf.OwnerError
	if errors.As(err, &busy) || errors.As(err, &damaged) || errors.As(err, &filling) || errors.As(err, &owner) {
		s.log.Warn("bind refused", "error", err)
	}
	return err
}

// cfUse is the assignment of a port as the coupling facility has it.
func cfUse(use vipa.Use) cf.Use {
	if use == vipa.Unique {
		return cf.Unique
	}
	return cf.Shared
}
