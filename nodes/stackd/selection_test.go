package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/policy"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func TestSelectionOptions(t *testing.T) {
	for _, c := range []struct {
		options options
		want    selectionOptions
		problem string
	}{
		{options{selection: "roundrobin"}, selectionOptions{method: byRoundRobin, interval: time.Second}, ""},
		{options{selection: "wlm", selectionMS: 100}, selectionOptions{method: byWLM, interval: 100 * time.Millisecond}, ""},
		{options{selection: "agent", policyAgent: "/a"}, selectionOptions{method: byAgent, agent: "/a", interval: time.Second}, ""},
		{options{}, selectionOptions{}, `--selection ""`},
		{options{selection: "agent"}, selectionOptions{}, `--policy-agent ""`},
		{options{selection: "agent", policyAgent: "a"}, selectionOptions{}, `--policy-agent "a"`},
		{options{selection: "wlm", policyAgent: "/a"}, selectionOptions{}, `--policy-agent "/a": expected none`},
		{options{selection: "wlm", selectionMS: -1}, selectionOptions{}, "--selection-ms -1"},
	} {
		got, err := c.options.checkSelection()
		switch {
		case c.problem == "" && (err != nil || got != c.want):
			t.Errorf("%+v: got %+v and error %v", c.options, got, err)
		case c.problem != "" && (err == nil || !strings.HasPrefix(err.Error(), c.problem)):
			t.Errorf("%+v: got error %v, want %q", c.options, err, c.problem)
		}
	}
}

// bench is a selection with everything around it by hand.
type bench struct {
	*selection
	now     time.Time
	own     contract.Workload
	fail    error
	spread  []distributedDVIPA
	sent    []contract.Message
	changes []vipa.WeightsChanged
	log     bytes.Buffer
}

func newBench(o selectionOptions) *bench {
	b := &bench{now: time.Unix(1000, 0), own: contract.Workload{Capacity: 2000}}
	targets := []contract.Target{{XCF: self.XCF, Weight: 1}, {XCF: target.XCF, Weight: 2}}
	b.spread = []distributedDVIPA{{
		dvipa: dvipa.Addr(), epoch: 1, names: map[netip.Addr]string{self.XCF: "MVS1", target.XCF: "MVS2"},
		candidates: targets,
		entries:    []vipa.DPTEntry{{Service: netip.AddrPortFrom(dvipa.Addr(), 60), Targets: targets}},
	}}
	b.selection = newSelection(selectionConfig{
		selectionOptions: o, plex: "PLEX1", self: self, log: slog.New(slog.NewTextHandler(&b.log, nil)),
		measure:     func(time.Time) (contract.Workload, error) { return b.own, b.fail },
		broadcast:   func(m contract.Message) { b.sent = append(b.sent, m) },
		distributes: func() ([]distributedDVIPA, error) { return b.spread, nil },
		post:        func(e vipa.Event) { b.changes = append(b.changes, e.(vipa.WeightsChanged)) },
	})
	return b
}

// wants is one interval, and what is told the core in it.
func (b *bench) wants(t *testing.T, what string, want ...vipa.WeightsChanged) {
	t.Helper()
	b.changes = nil
	b.step(t.Context(), b.now)
	b.now = b.now.Add(b.interval)
	if diff := cmp.Diff(want, b.changes, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("%s: want (-) got (+):\n%s", what, diff)
	}
}

func changed(port uint16, one, two uint32) vipa.WeightsChanged {
	return vipa.WeightsChanged{DVIPA: dvipa.Addr(), Port: port, Weights: map[netip.Addr]uint32{self.XCF: one, target.XCF: two}}
}

func TestSelectionByLoad(t *testing.T) {
	b := newBench(selectionOptions{method: byWLM, interval: time.Second})
	b.wants(t, "nobody else reports", changed(0, 1, 2))
	b.wants(t, "and nothing changes")
	if diff := cmp.Diff([]contract.Message{b.own, b.own}, b.sent); diff != "" {
		t.Errorf("told partners, want (-) got (+):\n%s", diff)
	}
	b.reported(target.XCF, contract.Workload{Capacity: 2000, Load: 2000}, b.now)
	b.wants(t, "the other is at its end", changed(0, 16, 2))
	b.lost(target.XCF)
	b.wants(t, "the other is lost", changed(0, 1, 2))
	b.spread[0].epoch = 2
	b.wants(t, "another ownership", changed(0, 1, 2))
	b.spread = nil
	b.wants(t, "nothing is distributed")
	if len(b.given) != 0 {
		t.Errorf("kept %v of ownerships that are over", b.given)
	}

	b.sent, b.fail = nil, errors.New("no procfs")
	b.wants(t, "not measured")
	b.wants(t, "nor again")
	b.fail = nil
	b.wants(t, "measured again")
	if len(b.sent) != 1 || strings.Count(b.log.String(), "not measured") != 2 {
		t.Errorf("told partners %v, and the log:\n%s", b.sent, &b.log)
	}
}

// Without a selection there is nothing to do: round robin.
func TestNoSelection(t *testing.T) {
	var none *selection
	none.reported(target.XCF, contract.Workload{}, time.Now())
	none.lost(target.XCF)
	none.run(t.Context())
}

func TestSelectionByAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	b := newBench(selectionOptions{method: byAgent, agent: socket, interval: 10 * time.Second})
	b.wants(t, "no agent yet")

	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	answer := `{"weights": {"10.1.0.1": 5, "10.1.0.2": 7, "10.1.0.99": 1}}`
	var asked policy.Request
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = policy.Request{}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		w.Write([]byte(answer))
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()

	b.reported(target.XCF, contract.Workload{Capacity: 4000, Load: 1, Connections: 9}, b.now.Add(-time.Second))
	b.wants(t, "it answers", changed(60, 5, 7))
	want := policy.Request{Plex: "PLEX1", Stack: "MVS1", DVIPA: dvipa.Addr(), Port: 60, Targets: []policy.Target{
		{XCF: self.XCF, Stack: "MVS1", Static: 1, Weight: 1, Workload: &policy.Workload{Capacity: 2000}},
		{XCF: target.XCF, Stack: "MVS2", Static: 2, Weight: 2, Workload: &policy.Workload{Capacity: 4000, Load: 1, Connections: 9, AgeMS: 1000}},
	}}
	if diff := cmp.Diff(want, asked, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("asked, want (-) got (+):\n%s", diff)
	}
	b.wants(t, "the same again")
	answer = `{"weights": {"10.1.0.2": 0}}`
	b.wants(t, "nonsense")
	b.wants(t, "nonsense once more")
	answer = `{"weights": {"10.1.0.1": 6}}`
	b.wants(t, "one of two", changed(60, 6, 7))
	answer = `{"weights": {}}`
	b.wants(t, "none of two")
	if got := strings.Count(b.log.String(), `level=WARN msg="policy agent: the weights stay as they are"`); got != 2 {
		t.Errorf("%d warnings, want one for the agent that was not there, one for nonsense:\n%s", got, &b.log)
	}
	if got := strings.Count(b.log.String(), "over: "); got != 2 {
		t.Errorf("%d words that it is over, want 2:\n%s", got, &b.log)
	}
}

// An agent that does not answer must not hold up the next interval.
func TestSelectionByAnAgentThatIsLate(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket) // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	b := newBench(selectionOptions{method: byAgent, agent: socket, interval: 10 * time.Millisecond})
	b.wants(t, "it is late")
	if !strings.Contains(b.log.String(), context.DeadlineExceeded.Error()) {
		t.Errorf("the log does not say that it was late:\n%s", &b.log)
	}
}

// What a core distributes, as it stands between two events.
func TestDistributed(t *testing.T) {
	core := vipa.New(vipa.Config{Self: self, XCFNetwork: netip.MustParsePrefix("10.1.0.0/24")})
	core.Step(vipa.MemberJoined{Member: target})
	core.Step(vipa.Gathered{})
	core.Step(vipa.ProfileChanged{Definition: vipa.Definition{
		Defines:     []vipa.Define{{Prefix: dvipa}},
		Distributes: []vipa.Distribute{{DVIPA: dvipa.Addr(), Distribution: contract.Distribution{All: true}}},
	}})
	core.Step(vipa.OwnershipTaken{Taken: []vipa.Ownership{{DVIPA: dvipa.Addr(), Epoch: 7}}})
	core.Step(vipa.MessageReceived{From: target, Message: contract.SRVSTAT{
		Service: netip.AddrPortFrom(dvipa.Addr(), 60), XCF: target.XCF, Listening: true, Epoch: 7,
	}})
	all := distributed(core, self)
	if len(all) != 1 || all[0].dvipa != dvipa.Addr() || all[0].epoch != 7 || len(all[0].candidates) != 2 || len(all[0].entries) != 1 ||
		all[0].names[target.XCF] != "MVS2" {
		t.Fatalf("got %+v, want one DVIPA at epoch 7 with two candidates and one entry", all)
	}
	core.Step(vipa.MessageReceived{From: target, Message: contract.SRVSTAT{
		Service: netip.AddrPortFrom(dvipa.Addr(), 61), XCF: target.XCF, Listening: true, Epoch: 7,
	}})
	if got := distributed(core, self)[0]; len(got.entries) != 2 {
		t.Errorf("got %+v, want two entries", got)
	}
}
