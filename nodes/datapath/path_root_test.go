package datapath

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

var updateGolden = flag.Bool("update", false, "write golden files anew")

func own() []vipa.Action {
	return []vipa.Action{vipa.Activate{DVIPA: dvipa}, vipa.Advertise{Prefix: netip.PrefixFrom(dvipa, 24), Epoch: 1}}
}

func service(port uint16) netip.AddrPort { return netip.AddrPortFrom(dvipa, port) }

// distribute makes hosts the current actual targets of a port.
func distribute(port uint16, hosts ...int) vipa.SetTargets {
	a := vipa.SetTargets{Service: service(port)}
	for _, n := range hosts {
		a.Targets = append(a.Targets, contract.Target{XCF: xcfAddr(n)})
	}
	return a
}

func apply(t testing.TB, p *Path, actions ...vipa.Action) {
	t.Helper()
	if err := p.Apply(actions); err != nil {
		t.Fatal(err)
	}
}

// The listing of nft is the oracle of what stands in the kernel: it must not abort, and must
// read like the flowchart.
func TestListing(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{})
	apply(t, p, append(own(),
		distribute(80, 1, 2, 3),
		vipa.SetTargets{Service: service(443), Targets: []contract.Target{{XCF: xcfAddr(2), Weight: 2}, {XCF: xcfAddr(3), Weight: 1}}},
		vipa.SetUnique{Service: service(5000), Target: xcfAddr(3)},
		vipa.AddConnections{Target: xcfAddr(2), Connections: []contract.Connection{{
			Remote: netip.MustParseAddrPort("192.0.2.1:1024"), Local: service(80),
		}}},
	)...)
	got := l.owner().nft("-s", "list", "ruleset")
	golden := filepath.Join("testdata", "ruleset.golden")
	if *updateGolden {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("nft list ruleset (-want +got):\n%s", diff)
	}
	var listing struct {
		Nftables []map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(l.owner().nft("-j", "list", "ruleset")), &listing); err != nil {
		t.Fatal(err)
	}
	if len(listing.Nftables) < 30 {
		t.Errorf("nft -j list ruleset lists %d objects, want the whole table", len(listing.Nftables))
	}
}

// What is taken away again leaves the table as it was opened.
func TestConfigureAndBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{})
	// Once this stack was a target, its connections are asked about for good (I7).
	apply(t, p, append(own(), distribute(80, 1))...)
	apply(t, p, distribute(80), vipa.Withdraw{DVIPA: dvipa}, vipa.Deactivate{DVIPA: dvipa})
	empty := l.owner().nft("-s", "list", "ruleset")
	apply(t, p, append(own(), distribute(80, 1, 2), distribute(81, 2, 3), vipa.SetUnique{Service: service(90), Target: xcfAddr(2)})...)
	apply(t, p, distribute(80, 2), distribute(81, 3, 1), vipa.SetUnique{Service: service(90), Target: xcfAddr(3)})
	apply(t, p, append(own(), distribute(80, 2))...) // once more: nothing changes
	apply(t, p, distribute(80), distribute(81), distribute(82), vipa.DropTarget{Target: xcfAddr(3)},
		vipa.Withdraw{DVIPA: dvipa}, vipa.Deactivate{DVIPA: dvipa}, vipa.Deactivate{DVIPA: dvipa})
	if diff := cmp.Diff(empty, l.owner().nft("-s", "list", "ruleset")); diff != "" {
		t.Errorf("ruleset after everything was taken away (-want +got):\n%s", diff)
	}
}
