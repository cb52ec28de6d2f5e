package vipa_test

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A pair is what creates a DVIPA twice, as conformance/requirements/twice.yaml has it.
type pair struct {
	ID, Owner, Bind string
}

// pairs is that table.
func pairs(t *testing.T) []pair {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "conformance", "requirements", "twice.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var table struct{ Pairs []pair }
	if err := yaml.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Pairs) == 0 {
		t.Fatal("no pairs")
	}
	return table.Pairs
}

// TestCreatedTwice holds the core to the requirement of who owns a DVIPA that is created twice. What is refused is
// so as a profile, before it comes to the core.
func TestCreatedTwice(t *testing.T) {
	t.Parallel()
	for _, pair := range pairs(t) {
		if pair.Owner == "refused" {
			continue
		}
		t.Run(pair.ID, func(t *testing.T) {
			t.Parallel()
			parts := strings.Split(strings.TrimPrefix(pair.ID, "twice/"), "-")
			first, second, where, how := parts[0], parts[1], parts[2], strings.Join(parts[3:], "")
			d := newDouble(t)
			if how == "owned" {
				d.create(2, "VIPADEFine", false)
			}
			d.create(0, first, how == "target")
			if how == "owned" {
				d.kill(2)
				d.settle()
			}
			on := map[string]int{"same": 0, "other": 1}[where]
			if bound := d.create(on, second, false); bound != (pair.Bind == "succeeds") {
				t.Errorf("a bind succeeds: %t, want that it %s", bound, pair.Bind)
			}
			want := map[string]int{"first": 0, "second": on, "nobody": -1}[pair.Owner]
			if got := d.ownerOf(d.dvipa); got != want {
				t.Errorf("the DVIPA is owned by stack %d, want %d", got, want)
			}
			d.agree()
		})
	}
}

// A double is a plex in which a DVIPA is created twice.
type double struct {
	*plex
	dvipa       netip.Addr
	definitions [plexStacks]vipa.Definition
}

func newDouble(t *testing.T) *double {
	return &double{plex: newPlex(t, rand.New(rand.NewPCG(0, 4))), dvipa: netip.MustParseAddr("10.9.2.1")}
}

// create has a stack create the DVIPA by a statement or a bind, distributed to all or not, and says whether a bind
// succeeded.
func (d *double) create(i int, how string, distributed bool) (bound bool) {
	def := &d.definitions[i]
	switch how {
	case "VIPADEFine":
		def.Defines = append(def.Defines, vipa.Define{Prefix: netip.PrefixFrom(d.dvipa, 24)})
		if distributed {
			def.Distributes = []vipa.Distribute{{DVIPA: d.dvipa, Distribution: contract.Distribution{All: true}}}
		}
	case "VIPABackup":
		def.Backups = append(def.Backups, vipa.Backup{DVIPA: d.dvipa, Rank: 10})
	case "bind":
		if len(def.Ranges) == 0 {
			def.Ranges = []vipa.Range{{Prefix: netip.PrefixFrom(d.dvipa, 24).Masked(), Distribute: distributed}}
		}
	}
	d.step(i, vipa.ProfileChanged{Definition: *def})
	d.settle()
	if how == "bind" {
		bound = d.bindTo(i, netip.AddrPortFrom(d.dvipa, 80))
		d.settle()
	}
	return bound
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
