package vipa_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestCreatedTwice is the table of contention.go: who owns a DVIPA that is created twice.
func TestCreatedTwice(t *testing.T) {
	t.Parallel()
	const (
		define = "VIPADEFine"
		backup = "VIPABackup"
		bind   = "bind"
	)
	// The owner is "first", "second" or "none"; bound says whether a bind that comes second succeeds.
	for _, test := range []struct {
		first, second string
		elsewhere     bool
		owner         string
		bound         bool
	}{
		{first: define, second: define, elsewhere: true, owner: "second"},
		{first: define, second: backup, elsewhere: true, owner: "first"},
		{first: define, second: bind, elsewhere: true, owner: "first"},
		{first: define, second: bind, owner: "first", bound: true},
		{first: backup, second: define, elsewhere: true, owner: "second"},
		{first: backup, second: backup, elsewhere: true, owner: "none"},
		{first: backup, second: bind, elsewhere: true, owner: "second", bound: true},
		{first: backup, second: bind, owner: "none"},
		{first: bind, second: define, elsewhere: true, owner: "second"},
		{first: bind, second: define, owner: "first"},
		{first: bind, second: backup, elsewhere: true, owner: "first"},
		{first: bind, second: backup, owner: "first"},
		{first: bind, second: bind, elsewhere: true, owner: "second", bound: true},
		{first: bind, second: bind, owner: "first", bound: true},
	} {
		where := "same stack"
		if test.elsewhere {
			where = "another stack"
		}
		t.Run(test.first+", then "+test.second+", "+where, func(t *testing.T) {
			t.Parallel()
			p := newPlex(t, rand.New(rand.NewPCG(0, 4)))
			dvipa := netip.MustParseAddr("10.9.2.1")
			definitions := [plexStacks]vipa.Definition{}
			create := func(i int, how string) (bound bool) {
				def := &definitions[i]
				switch how {
				case define:
					def.Defines = append(def.Defines, vipa.Define{Prefix: netip.PrefixFrom(dvipa, 24)})
				case backup:
					def.Backups = append(def.Backups, vipa.Backup{DVIPA: dvipa, Rank: 10})
				case bind:
					if len(def.Ranges) == 0 {
						def.Ranges = []vipa.Range{{Prefix: netip.PrefixFrom(dvipa, 24).Masked()}}
					}
				}
				p.step(i, vipa.ProfileChanged{Definition: *def})
				p.settle()
				if how == bind {
					bound = p.bindTo(i, netip.AddrPortFrom(dvipa, 80))
					p.settle()
				}
				return bound
			}
			second := 0
			if test.elsewhere {
				second = 1
			}
			create(0, test.first)
			if bound := create(second, test.second); bound != test.bound {
				t.Errorf("the second bind succeeds: %t, want %t", bound, test.bound)
			}
			owner := map[int]string{-1: "none", 0: "first", second: "second"}
			owner[0] = "first"
			if got := owner[p.ownerOf(dvipa)]; got != test.owner {
				t.Errorf("the DVIPA is owned by %s, want %s", got, test.owner)
			}
			p.agree()
		})
	}
}

// TestMovedByBind: connections stay where they are when a bind moves their DVIPA (MOVEable
// NONDISRUPTIVE), and the owner before goes on with it when the new one is gone.
func TestMovedByBind(t *testing.T) {
	t.Parallel()
	p := newPlex(t, rand.New(rand.NewPCG(0, 5)))
	service := netip.MustParseAddrPort("10.9.2.1:80")
	for i := range 2 {
		p.step(i, vipa.ProfileChanged{Definition: vipa.Definition{
			Ranges: []vipa.Range{{Prefix: netip.PrefixFrom(service.Addr(), 24).Masked()}},
		}})
		p.settle()
		if !p.bindTo(i, service) {
			t.Fatalf("bind %d fails", i)
		}
		c := contract.Connection{Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1000+i)), Local: service}
		p.nodes[i].connections[c] = true
		p.step(i, vipa.ConnectionsHeld{Connections: []contract.Connection{c}})
		p.settle()
		if owner := p.ownerOf(service.Addr()); owner != i {
			t.Errorf("stack %d owns the DVIPA after the bind, want %d", owner, i)
		}
		p.agree()
	}
	p.kill(1)
	p.settle()
	if owner := p.ownerOf(service.Addr()); owner != 0 {
		t.Errorf("stack %d owns the DVIPA after the death of its owner, want 0, whose program has it too", owner)
	}
	p.agree()
}
