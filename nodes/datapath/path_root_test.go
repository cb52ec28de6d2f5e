package datapath

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

var updateGolden = flag.Bool("update", false, "write golden files anew")

// apply applies actions; a DVIPA that they make owned has a lease that does not end.
func apply(t testing.TB, p *Path, actions ...vipa.Action) {
	t.Helper()
	if err := p.Apply(actions); err != nil {
		t.Fatal(err)
	}
	var forever batch
	for _, a := range actions {
		if a, ok := a.(vipa.Advertise); ok {
			dvipa := a.Prefix.Addr()
			forever.putElements(p.of(dvipa).owned, element{key: dvipa.AsSlice()})
		}
	}
	if err := p.write.commit(&forever); err != nil {
		t.Fatal(err)
	}
}

// The listing of nft is the oracle of what stands in the kernel: it must not abort, and must
// read like the flowchart.
func TestListing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden string
		served []addresses
	}{
		{"ruleset.golden", []addresses{of4, everyFamily["IPv6 on XCF of IPv4"]}},
		{"ruleset-ipv6.golden", []addresses{everyFamily["IPv6"]}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.served[0], 2)
			p := l.open(Config{})
			for _, a := range c.served {
				apply(t, p, append(a.own(),
					a.distribute(80, 1, 2, 3),
					vipa.SetTargets{Service: a.service(443), Targets: []contract.Target{{XCF: a.xcf(2), Weight: 2}, {XCF: a.xcf(3), Weight: 1}}},
					vipa.SetUnique{Service: a.service(5000), Target: a.xcf(3)},
					a.add(2, 1024),
				)...)
			}
			l.expectListing(filepath.Join("testdata", c.golden))
		})
	}
}

func (l *lab) expectListing(golden string) {
	l.t.Helper()
	got := l.owner().nft("-s", "list", "ruleset")
	if *updateGolden {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			l.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		l.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		l.t.Errorf("nft list ruleset (-want +got):\n%s", diff)
	}
	var listing struct {
		Nftables []map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(l.owner().nft("-j", "list", "ruleset")), &listing); err != nil {
		l.t.Fatal(err)
	}
	if len(listing.Nftables) < 30 {
		l.t.Errorf("nft -j list ruleset lists %d objects, want the whole table", len(listing.Nftables))
	}
	for line := range strings.Lines(got) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "chain "); ok && !readable.MatchString(name) {
			l.t.Errorf("nft does not read %s as a name", name)
		}
	}
}

// readable is a name as nft reads it (src/scanner.l), and how a chain begins.
var readable = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9/\\_.-]* \{$`)

// What is taken away again leaves the table as it was opened.
func TestConfigureAndBack(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		// Once this stack was a target, its connections are asked about for good (I7).
		apply(t, p, append(l.own(), l.distribute(80, 1))...)
		apply(t, p, l.distribute(80), vipa.Withdraw{DVIPA: l.dvipa}, vipa.Deactivate{DVIPA: l.dvipa})
		empty := l.owner().nft("-s", "list", "ruleset")
		apply(t, p, append(l.own(), l.distribute(80, 1, 2), l.distribute(81, 2, 3), vipa.SetUnique{Service: l.service(90), Target: l.xcf(2)})...)
		apply(t, p, l.distribute(80, 2), l.distribute(81, 3, 1), vipa.SetUnique{Service: l.service(90), Target: l.xcf(3)})
		apply(t, p, append(l.own(), l.distribute(80, 2))...) // once more: nothing changes
		apply(t, p, l.distribute(80), l.distribute(81), l.distribute(82), vipa.DropTarget{Target: l.xcf(3)},
			vipa.Withdraw{DVIPA: l.dvipa}, vipa.Deactivate{DVIPA: l.dvipa}, vipa.Deactivate{DVIPA: l.dvipa})
		if diff := cmp.Diff(empty, l.owner().nft("-s", "list", "ruleset")); diff != "" {
			t.Errorf("ruleset after everything was taken away (-want +got):\n%s", diff)
		}
	})
}
