package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract/internal/described"
	"github.com/plexlab-dev/plexlab/nodes/contract/policy"
)

func TestDescriptionMatchesTypes(t *testing.T) {
	described.Check(t, "openapi.yaml", policy.Request{}, policy.Target{}, policy.Workload{}, policy.Answer{})
}

var (
	one, two = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd00::2")
	question = policy.Request{Plex: "PLEX1", Stack: "MVS1", DVIPA: netip.MustParseAddr("203.0.113.1"), Port: 60, Targets: []policy.Target{
		{XCF: one, Stack: "MVS1", Static: 1, Weight: 3, Workload: &policy.Workload{Capacity: 2000, Load: 5, Connections: 7, AgeMS: 12}},
		{XCF: two, Static: 9, Weight: 9},
	}}
)

// serve is an agent on a Unix socket.
func serve(t *testing.T, handler http.HandlerFunc) *policy.Agent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	agent := policy.NewAgent(path)
	t.Cleanup(agent.Close)
	return agent
}

func TestWeights(t *testing.T) {
	t.Parallel()
	agent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var got policy.Request
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(question, got, cmpopts.EquateComparable(netip.Addr{})); r.Method+" "+r.URL.Path != "POST /v1/weights" || diff != "" {
			t.Errorf("%s %s, sent (-) received (+):\n%s", r.Method, r.URL.Path, diff)
		}
		io.WriteString(w, `{"weights": {"10.1.0.1": 1, "fd00::2": 65535, "10.1.0.9": 4}, "reason": "because"}`)
	})
	want := policy.Answer{Weights: map[netip.Addr]uint32{one: 1, two: 65535, netip.MustParseAddr("10.1.0.9"): 4}}
	for range 2 {
		got, err := agent.Weights(t.Context(), question)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("error %v, want (-) got (+):\n%s", err, diff)
		}
	}
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                 "not of its form",
		`weights`:                          "not of its form",
		`{}`:                               "the answer has no weights",
		`{"weights": []}`:                  "not of its form",
		`{"weights": {"MVS1": 1}}`:         "not of its form",
		`{"weights": {"10.1.0.1": "1"}}`:   "not of its form",
		`{"weights": {"10.1.0.1": -1}}`:    "not of its form",
		`{"weights": {"10.1.0.1": 1.5}}`:   "not of its form",
		`{"weights": {"10.1.0.1": 0}}`:     "weight 0 of 10.1.0.1, want 1 to 65535",
		`{"weights": {"10.1.0.1": 65536}}`: "weight 65536 of 10.1.0.1, want 1 to 65535",
		strings.Repeat(" ", 64<<10) + `{}`: "longer than 65536 bytes",
	} {
		agent := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
		got, err := agent.Weights(t.Context(), question)
		if err == nil || !strings.HasPrefix(err.Error(), "policy agent /") || !strings.Contains(err.Error(), want) || got.Weights != nil {
			t.Errorf("%.40q: got %v and error %v, want %q", text, got, err, want)
		}
	}
}

func TestAgentsThatFail(t *testing.T) {
	t.Parallel()
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no policy today", http.StatusInternalServerError)
	})
	if _, err := broken.Weights(t.Context(), question); err == nil || !strings.HasSuffix(err.Error(), `status 500: "no policy today"`) {
		t.Errorf("status 500: got %v", err)
	}
	late := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then the server sees that the client is gone
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := late.Weights(ctx, question); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: got %v", err)
	}
	if _, err := policy.NewAgent(filepath.Join(t.TempDir(), "none")).Weights(t.Context(), question); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nobody there: got %v", err)
	}
}
