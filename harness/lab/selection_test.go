package lab_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// TestAPolicyAgentIsAsked: weights come from a program of the laboratory (T30), and stay when it is gone.
func TestAPolicyAgentIsAsked(t *testing.T) {
	requirePrograms(t, "nginx", "curl")
	topology, err := topo.Load("../../fixtures/topologies/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	l := up(t, &plan, lab.Options{Implementation: reference(t)})
	client := l.Control("MVS1")
	defer client.Close()
	weights := func() string {
		table, err := client.VDPT(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, e := range table.Entries {
			words = append(words, fmt.Sprintf("%s %d", e.Stack, e.Weight))
		}
		return strings.Join(words, ", ")
	}
	const want = "MVS1 1, MVS2 3"
	await(t, func() bool { return weights() == want }, func() string { return fmt.Sprintf("weights are %s, want %s", weights(), want) })

	got, exited := output(t, l, "CLIENT", shell("for i in 1 2 3 4 5 6 7 8; do curl --silent --max-time 5 http://192.168.44.10:60/; done"))
	if first, second := strings.Count(got, "MVS1"), strings.Count(got, "MVS2"); !exited.Success() || first != 2 || second != 6 {
		t.Errorf("of 8 connections MVS1 got %d and MVS2 %d, want 2 and 6 (%s)", first, second, exited)
	}

	before := warnings(t, l)
	if got, exited := output(t, l, "CLIENT", shell("kill $(cat $(find /dev/shm/nodes/CLIENT -name nginx.pid))")); !exited.Success() {
		t.Fatalf("end the agent: %s, %q", exited, got)
	}
	await(t, func() bool { return warnings(t, l) > before }, func() string { return "MVS1 does not say that the agent is gone" })
	if got := weights(); got != want {
		t.Errorf("without the agent, weights are %s, want %s", got, want)
	}
}

// warnings counts what MVS1 says of an agent that fails.
func warnings(t *testing.T, l *lab.Lab) int {
	t.Helper()
	log, err := l.Logs(bounded(t), "MVS1", "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), `level=WARN msg="policy agent: the weights stay as they are"`)
}
