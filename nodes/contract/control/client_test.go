package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// serve answers on a Unix socket and returns a client of it.
func serve(t *testing.T, handler http.Handler) *control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	client := control.NewUnixClient(path)
	t.Cleanup(client.Close)
	return client
}

// answer writes a status and a body.
func answer(status int, body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			panic(err)
		}
	}
}

func TestEveryOperation(t *testing.T) {
	address := netip.MustParseAddr("203.0.113.1")
	wantTrace := control.Trace{Next: 1 << 63, Edges: map[string]uint64{"fig12/145-yes->144": 3},
		Steps: []control.TraceStep{{Number: 7, Event: "listening", Edges: []string{"fig11/124-yes->126"}}}}
	wantCRT := control.VCRT{Total: 9, Entries: []control.CRTEntry{{
		Source: netip.MustParseAddrPort("[2001:db8::9]:1025"), DVIPA: netip.MustParseAddrPort("[2001:db8::1]:80"),
		Target: netip.MustParseAddr("fd00::2")}}}
	wantPorts := control.Ports{
		Sharing: control.SharingPortFile, State: control.PortsDegraded, Problem: "no space left",
		DVIPAs: []control.DVIPAPorts{{
			DVIPA: address, State: control.PortsOK, First: 1024, Last: 65535, Available: 64510, Unique: 1, Resting: 1,
			Ports: []control.ClusterPort{
				{Port: 1024, Use: control.UseUnique, Holders: []string{"MVS1"}},
				{Port: 1025, Use: control.UseResting, Holders: []string{}, RestingMS: 59000},
			},
		}},
		Findings: []control.PortFinding{{DVIPA: address, Port: 60, Kind: control.FindingNoHolder, Text: "port 60 is in use and has no holder"}},
	}
	obey := control.ObeyRequest{File: "more.profile", Text: "VIPADYN ENDVIPADYN", DryRun: true, Symbols: map[string]netip.Addr{"DVA1": address}}
	wantObeyed := control.ObeyAnswer{
		Changes:   []control.ObeyEffect{{Statement: "SOURCEIPA 203.0.113.1 APPA", Text: "connections of APPA come from 203.0.113.1"}},
		Conflicts: []control.ObeyEffect{},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /v1/ready", answer(503, control.Ready{Stack: "MVS1", Incarnation: 1 << 60, Reason: "no partner yet"}))
	mux.Handle("GET /v1/home", answer(200, control.Home{Addresses: []control.HomeAddress{{Address: netip.PrefixFrom(address, 24)}}}))
	mux.Handle("GET /v1/vipadcfg", answer(200, control.VIPADCFG{Statements: []string{"VIPADEFine 255.255.255.0 203.0.113.1"}}))
	mux.Handle("GET /v1/vipadyn", answer(200, control.VIPADYN{DVIPAs: []control.DynamicVIPA{{DVIPA: address, Epoch: 4}}}))
	mux.Handle("GET /v1/vdpt", answer(200, control.VDPT{Entries: []control.DPTEntry{{DVIPA: address, Port: 80, Weight: 1}}}))
	mux.HandleFunc("GET /v1/vcrt", func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("limit"); got != "5" {
			t.Errorf("limit %q, want 5", got)
		}
		answer(200, wantCRT)(w, r)
	})
	mux.HandleFunc("GET /v1/ports", func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("limit"); got != "5" {
			t.Errorf("limit %q, want 5", got)
		}
		answer(200, wantPorts)(w, r)
	})
	mux.HandleFunc("POST /v1/obey", func(w http.ResponseWriter, r *http.Request) {
		var got control.ObeyRequest
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(obey, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("sent (-) received (+):\n%s", diff)
		}
		answer(200, wantObeyed)(w, r)
	})
	vary := control.VaryRequest{Command: control.VaryQuiesce, Target: control.VaryTarget{DVIPA: address, Port: 60}}
	mux.HandleFunc("POST /v1/vary", func(w http.ResponseWriter, r *http.Request) {
		var got control.VaryRequest
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got != vary {
			t.Errorf("received %+v, error %v; want %+v", got, err, vary)
		}
		answer(200, control.VaryAnswer{Text: "it is quiesced"})(w, r)
	})
	mux.Handle("GET /v1/group", answer(200, control.Group{Plex: "PLEX1", Members: []control.GroupMember{{Stack: "MVS1", Self: true}}}))
	mux.HandleFunc("GET /v1/trace", func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("since"); got != "18446744073709551615" {
			t.Errorf("since %q, want 2^64-1", got)
		}
		answer(200, wantTrace)(w, r)
	})
	client := serve(t, mux)
	ctx := t.Context()

	check(ctx, t, "ready", control.Ready{Stack: "MVS1", Incarnation: 1 << 60, Reason: "no partner yet"}, client.Ready)
	check(ctx, t, "home", control.Home{Addresses: []control.HomeAddress{{Address: netip.PrefixFrom(address, 24)}}}, client.Home)
	check(ctx, t, "vipadcfg", control.VIPADCFG{Statements: []string{"VIPADEFine 255.255.255.0 203.0.113.1"}}, client.VIPADCFG)
	check(ctx, t, "vipadyn", control.VIPADYN{DVIPAs: []control.DynamicVIPA{{DVIPA: address, Epoch: 4}}}, client.VIPADYN)
	check(ctx, t, "vdpt", control.VDPT{Entries: []control.DPTEntry{{DVIPA: address, Port: 80, Weight: 1}}}, client.VDPT)
	check(ctx, t, "group", control.Group{Plex: "PLEX1", Members: []control.GroupMember{{Stack: "MVS1", Self: true}}}, client.Group)
	check(ctx, t, "vcrt", wantCRT, func(ctx context.Context) (control.VCRT, error) { return client.VCRT(ctx, 5) })
	check(ctx, t, "ports", wantPorts, func(ctx context.Context) (control.Ports, error) { return client.Ports(ctx, 5) })
	check(ctx, t, "obey", wantObeyed, func(ctx context.Context) (control.ObeyAnswer, error) { return client.Obey(ctx, obey) })
	check(ctx, t, "vary", control.VaryAnswer{Text: "it is quiesced"}, func(ctx context.Context) (control.VaryAnswer, error) { return client.Vary(ctx, vary) })
	check(ctx, t, "trace", wantTrace, func(ctx context.Context) (control.Trace, error) { return client.Trace(ctx, 1<<64-1) })
}

// check asks and compares.
func check[T any](ctx context.Context, t *testing.T, name string, want T, ask func(context.Context) (T, error)) {
	t.Helper()
	got, err := ask(ctx)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); diff != "" {
		t.Errorf("%s: want (-) got (+):\n%s", name, diff)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name        string
		handler     http.Handler
		want        string
		unsupported bool
	}{
		{"not offered", http.NotFoundHandler(), "GET /v1/home: status 404", true},
		{"not implemented", answer(501, control.Problem{Error: "no home list"}), "GET /v1/home: status 501: no home list", true},
		{"broken", answer(500, control.Problem{Error: "out of memory"}), "GET /v1/home: status 500: out of memory", false},
		{"not JSON", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }),
			"GET /v1/home: answer is not of its form", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := serve(t, c.handler).Home(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if got := errors.Is(err, errors.ErrUnsupported); got != c.unsupported {
				t.Errorf("unsupported is %v, want %v", got, c.unsupported)
			}
		})
	}
}

// The places of errors in a text come through, for whoever wrote the text.
func TestObeyRefusesAText(t *testing.T) {
	want := &control.StatusError{
		Operation: "POST /v1/obey", Status: 400, Problem: "more.profile has errors, nothing is changed",
		Errors: []control.TextError{{File: "more.profile", Line: 2, Column: 3, Message: "found 60"}, {File: "more.profile", Message: "too long"}},
	}
	client := serve(t, answer(want.Status, control.Problem{Error: want.Problem, Errors: want.Errors}))
	_, err := client.Obey(t.Context(), control.ObeyRequest{File: "more.profile"})
	var got *control.StatusError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a StatusError", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}
