package netstat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/plexlab/netstat"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

var update = flag.Bool("update", false, "write testdata anew")

// bodies holds one answer for every report, with each kind of row that the report knows.
var bodies = map[string]any{
	"home": control.Home{Addresses: []control.HomeAddress{
		{Address: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Kind: "loopback"},
		{Address: netip.MustParsePrefix("10.1.0.1/24"), Interface: "xcf0", Kind: "xcf"},
		{Address: netip.MustParsePrefix("44.0.1.1/32"), Interface: "lo", Kind: "dvipa", Advertised: true},
		{Address: netip.MustParsePrefix("2001:db8::1/128"), Interface: "lo", Kind: "dvipa"},
	}},
	"vipadcfg": control.VIPADCFG{Statements: []string{
		"VIPADEFine 255.255.255.0 44.0.1.1",
		"VIPADISTribute 44.0.1.1 PORT 60 DESTIP 10.1.0.2 10.1.0.3",
	}},
	"vipadyn": control.VIPADYN{DVIPAs: []control.DynamicVIPA{
		{DVIPA: netip.MustParseAddr("44.0.1.1"), PrefixLength: 24, Status: "active", Origin: "VIPADEFine", Owner: "MVS1", Epoch: 1, Distributed: true},
		{DVIPA: netip.MustParseAddr("44.0.2.1"), PrefixLength: 24, Status: "backup", Origin: "VIPABackup", Rank: 254, Owner: "MVS5", Epoch: 12, ClusterPorts: true},
	}},
	"vdpt": control.VDPT{Entries: []control.DPTEntry{
		{DVIPA: netip.MustParseAddr("44.0.1.1"), Port: 60, Target: netip.MustParseAddr("10.1.0.2"), Stack: "MVS2", Weight: 1},
		{DVIPA: netip.MustParseAddr("44.0.1.1"), Port: 60000, Target: netip.MustParseAddr("10.1.0.4"), Weight: 12},
	}},
	"vcrt": control.VCRT{Total: 70000, Entries: []control.CRTEntry{
		{Source: netip.MustParseAddrPort("192.168.7.2:40001"), DVIPA: netip.MustParseAddrPort("44.0.1.1:60"), Target: netip.MustParseAddr("10.1.0.2"), Stack: "MVS2", ExpiresMS: 9876},
		{Source: netip.MustParseAddrPort("0.0.0.0:0"), DVIPA: netip.MustParseAddrPort("44.0.1.1:5001"), Target: netip.MustParseAddr("10.1.0.4"), Stack: "MVS4", Unique: true},
		{Source: netip.MustParseAddrPort("[2001:db8::9]:40001"), DVIPA: netip.MustParseAddrPort("[2001:db8::1]:60"), Target: netip.MustParseAddr("fd00::2"), Stack: "MVS2"},
	}},
	"ports": control.Ports{
		Sharing: control.SharingPortFile, State: control.PortsDegraded, Problem: "the port file is gone: /run/ports; it is made anew",
		DVIPAs: []control.DVIPAPorts{
			{
				DVIPA: netip.MustParseAddr("44.0.1.1"), State: control.PortsOK, First: 1024, Last: 65535,
				Available: 64507, Unique: 3, Shared: 2, Resting: 3, Ports: []control.ClusterPort{
					{Port: 60, Use: control.UseShared, Holders: []string{"MVS2", "MVS3"}},
					{Port: 1023, Use: control.UseShared, Holders: []string{"MVS2"}},
					{Port: 1024, Use: control.UseUnique, Holders: []string{"MVS2"}},
					{Port: 1025, Use: control.UseUnique, Holders: []string{"MVS2"}},
					{Port: 1026, Use: control.UseUnique, Holders: []string{"MVS3"}},
					{Port: 1027, Use: control.UseResting, RestingMS: 1200},
					{Port: 1028, Use: control.UseResting, RestingMS: 59990},
				},
			},
			{
				DVIPA: netip.MustParseAddr("2001:db8::1"), State: control.PortsFilling, Problem: "MVS4 has not told what it holds",
				First: 5000, Last: 5000, Ports: []control.ClusterPort{},
			},
		},
		Findings: []control.PortFinding{{
			DVIPA: netip.MustParseAddr("44.0.1.1"), Port: 1024, Kind: control.FindingNoSocket, Stacks: []string{"MVS2"},
			Text: "MVS2 holds the port and no socket of it uses it",
		}},
	},
	"group": control.Group{Plex: "PLEX1", Problem: "the name MVS2 is taken by 10.1.0.9", Members: []control.GroupMember{
		{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1700000000000001, Outside: true, HeardMS: 34},
		{Stack: "MVS2", XCF: netip.MustParseAddr("10.1.0.2"), Incarnation: 7, Self: true},
	}},
}

// stack returns a client of a stack that answers with bodies.
func stack(t *testing.T) *control.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := bodies[strings.TrimPrefix(r.URL.Path, "/v1/")]
		if !known {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	client := control.NewClient(func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", server.Listener.Addr().String())
	})
	t.Cleanup(client.Close)
	return client
}

func TestReports(t *testing.T) {
	for _, report := range netstat.Reports() {
		t.Run(report.Name, func(t *testing.T) {
			answer, err := report.Ask(t.Context(), stack(t))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := report.Write(&got, "MVS2", answer); err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + report.Name + ".txt"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// What is in order is said in few words.
func TestCleanPorts(t *testing.T) {
	report, _ := netstat.ByName("ports")
	var got bytes.Buffer
	ports := control.Ports{Sharing: control.SharingDistributor, State: control.PortsOK, DVIPAs: []control.DVIPAPorts{{
		DVIPA: netip.MustParseAddr("44.0.1.1"), Owner: "MVS5", State: control.PortsOK, First: 1024, Last: 65535,
	}}}
	if err := report.Write(&got, "MVS1", ports); err != nil {
		t.Fatal(err)
	}
	want := "MVS1  cluster-wide ports\n  none\n  44.0.1.1: MVS5 keeps the table; held here: 0 unique, 0 shared\n" +
		"  ports are shared by: distributor\n  audit: clean\n"
	if got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

// What cannot be read is not called clean.
func TestDegradedPorts(t *testing.T) {
	report, _ := netstat.ByName("ports")
	one := []control.DVIPAPorts{{DVIPA: netip.MustParseAddr("44.0.1.1"), State: control.PortsDegraded, Problem: "no owner"}}
	for name, ports := range map[string]control.Ports{
		"the file":  {State: control.PortsDegraded, Problem: "cut short"},
		"one DVIPA": {State: control.PortsOK, DVIPAs: one},
	} {
		var got bytes.Buffer
		if err := report.Write(&got, "MVS1", ports); err != nil {
			t.Fatal(err)
		}
		if s := got.String(); strings.Contains(s, "clean") || !strings.Contains(s, "audit: not of what is degraded") {
			t.Errorf("%s: %q", name, s)
		}
	}
}

func TestEmptyTableSaysSo(t *testing.T) {
	report, _ := netstat.ByName("vdpt")
	var got bytes.Buffer
	if err := report.Write(&got, "MVS1", control.VDPT{}); err != nil {
		t.Fatal(err)
	}
	if want := "MVS1  destination port table\n  none\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}
