package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
)

// TestMain lets this binary be the supervisor and the stack of a laboratory too: its first
// argument, which go test never gives, says which.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "supervise":
			os.Exit(lab.Supervise())
		case "check":
			os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
		case "stack":
			fmt.Println(stack(os.Args[2]))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// stack is an implementation that has joined a plex of its own and distributes to itself. It
// serves its control API at socket.
func stack(socket string) error {
	fmt.Println("a stack begins")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	answers := map[string]any{
		"/v1/ready": control.Ready{Implementation: "canned", Stack: "MVS1", Ready: true, Settled: true, Members: 1},
		"/v1/ports": control.Ports{Sharing: control.SharingPortFile, State: control.PortsDegraded, Problem: "no space left on device"},
		"/v1/vdpt":  control.VDPT{Entries: []control.DPTEntry{{Port: 80, Stack: "MVS1", Weight: 1}}},
	}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/obey" {
			obeyed(w, r)
			return
		}
		if r.URL.Path == "/v1/vcrt" { // as while somebody has stopped it
			<-r.Context().Done()
			return
		}
		if r.Method == http.MethodPost && r.URL.Path == "/v1/vary" {
			varied(w, r)
			return
		}
		answer, known := answers[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		_ = json.NewEncoder(w).Encode(answer) // fails where nobody listens any more
	}))
}

// obeyed answers POST /v1/obey as a stack without definitions, which each SOURCEIPA is a conflict to.
func obeyed(w http.ResponseWriter, r *http.Request) {
	var request control.ObeyRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	made, err := profile.Obey(&profile.Profile{}, request.File, []byte(request.Text), request.Symbols)
	var mistakes profile.Errors
	if errors.As(err, &mistakes) {
		problem := control.Problem{Error: "the text is wrong"}
		for _, e := range mistakes {
			problem.Errors = append(problem.Errors, control.TextError{File: e.Pos.File, Line: e.Pos.Line, Column: e.Pos.Column, Message: e.Message})
		}
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(problem)
		return
	}
	answer := control.ObeyAnswer{Applied: !request.DryRun, Changes: []control.ObeyEffect{}, Conflicts: []control.ObeyEffect{}}
	for _, c := range made.Changes {
		statement := c.Statement.String()
		answer.Changes = append(answer.Changes, control.ObeyEffect{Statement: statement, Text: "it is new"}, control.ObeyEffect{Statement: statement, Text: "and more"})
		if _, is := c.Statement.(profile.SourceIPA); is {
			answer.Conflicts = append(answer.Conflicts, control.ObeyEffect{Statement: statement, Text: "port 60 has two holders"})
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// bringUp brings minimal.yaml and a symbol up with that stack, under a name of its own, which it returns.
func bringUp(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", t.Name(), os.Getpid())
	manifest := filepath.Join(t.TempDir(), "canned.yaml")
	text := "name: canned\nversion: 1\nstart: [/proc/self/exe, stack, '{{.Control}}']\ncapabilities: [core]\n"
	if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(implementationVariable, manifest)
	topology := filepath.Join(t.TempDir(), "minimal.yaml")
	base, err := os.ReadFile(minimal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(topology, append(base, "symbols: {DVA1: 192.168.44.10}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	status, _, errors := invoke(t, "up", topology, "--name", name)
	needsLaboratories(t, status, errors)
	if status != exitDone || !strings.HasSuffix(errors, name+" is up\n") {
		t.Fatalf("up: status %d, %s", status, errors)
	}
	t.Cleanup(func() {
		if status, _, errors := invoke(t, "down", name); status != exitDone {
			t.Errorf("down: status %d, %s", status, errors)
		}
		if status, _, _ := invoke(t, "down", name); status != exitNotFound {
			t.Errorf("down once more: status %d, want %d", status, exitNotFound)
		}
	})
	t.Setenv(labVariable, name)
	return name
}

// step is a command line and what comes of it: every word of out and errors must be in the output
// and in the errors; without words they are empty.
type step struct {
	args   []string
	status int
	out    []string
	errors []string
}

func (s step) take(t *testing.T) {
	t.Helper()
	status, out, errors := invoke(t, s.args...)
	if status != s.status {
		t.Errorf("%q: status %d, want %d", s.args, status, s.status)
	}
	for stream, c := range map[string]struct {
		text  string
		words []string
	}{"output": {out, s.out}, "errors": {errors, s.errors}} {
		if len(c.words) == 0 && c.text != "" {
			t.Errorf("%q: %s %q, want none", s.args, stream, c.text)
		}
		for _, word := range c.words {
			if !strings.Contains(c.text, word) {
				t.Errorf("%q: %s %q, want %q in it", s.args, stream, c.text, word)
			}
		}
	}
}

func TestALaboratory(t *testing.T) {
	name := bringUp(t)
	for _, s := range []step{
		{[]string{"up", minimal, "--name", name}, exitFailed, nil, []string{name + " is up already", "plexlab down " + name}},
		{[]string{"list"}, exitDone, []string{name, "MINIMAL", "1 running"}, nil},
		{[]string{"list", name}, exitDone, []string{"MVS1", "canned", "CLIENT"}, nil},
		{[]string{"exec", "CLIENT", "--", "sh", "-c", "echo hello; echo oh >&2; exit 7"}, 7, []string{"hello"}, []string{"oh"}},
		{[]string{"exec", "--lab", name, "client", "--", "sh", "-c", "kill -TERM $$"}, 128 + 15, nil, nil},
		{[]string{"exec", "CLIENT", "--", "no-such-program"}, exitFailed, nil, []string{"no-such-program"}},
		{[]string{"exec", "MVS9", "--", "true"}, exitNotFound, nil, []string{"no node MVS9", "MVS1, CLIENT"}},
		{[]string{"display", "vdpt"}, exitDone, []string{"MVS1  destination port table", "80"}, nil},
		{[]string{"display", "vdpt", "mvs1", "--json"}, exitDone, []string{`"MVS1": {`}, nil},
		{[]string{"display", "ports"}, exitDone, []string{"MVS1  cluster-wide ports", "DEGRADED: no space left on device"}, nil},
		{[]string{"display", "ports", "--json"}, exitDone, []string{`"state": "degraded"`}, nil},
		{[]string{"display", "home"}, exitFailed, nil, []string{"home of stack MVS1: its implementation does not offer it"}},
		{[]string{"display", "vdpt", "CLIENT"}, exitNotFound, nil, []string{"no stack CLIENT"}},
		{[]string{"display", "vcrt"}, exitFailed, nil, []string{"vcrt of stack MVS1: no answer within 3s: its process is stopped or busy; plexlab logs MVS1\n"}},
		{[]string{"fault", "kill", "MVS1"}, exitDone, nil, nil},
		{[]string{"fault", "kill", "MVS1"}, exitFailed, nil, []string{"MVS1 does not run"}},
		{[]string{"list", name}, exitDone, []string{"failed: killed by signal 9"}, nil},
		{[]string{"display", "vdpt"}, exitFailed, nil, []string{"the stack does not run"}},
		{[]string{"fault", "start", "MVS1"}, exitDone, nil, nil},
		{[]string{"fault", "drop", "nowhere", "MVS1", "CLIENT"}, exitNotFound, nil, []string{"nowhere"}},
		{[]string{"fault", "link-up", "client", "ext7"}, exitNotFound, nil, []string{"link ext7 of node CLIENT: not in the plan\n"}},
		{[]string{"fault", "freeze", "CLIENT"}, exitNotFound, nil, []string{"no stack CLIENT in laboratory"}},
		{[]string{"fault", "heal", "lan"}, exitDone, nil, nil},
		{[]string{"logs"}, exitDone, []string{"verb=kill"}, nil},
	} {
		s.take(t)
	}
}

func TestObey(t *testing.T) {
	bringUp(t)
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const define = "VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS 255.255.255.0 192.168.44.10"
	more := write("more.profile", "VIPADYN\n  VIPADEF CLUSTERPORTS /24 DVA1\n  SOURCEIPA DVA1 APP*\nENDVIPADYN\n")
	wrong := write("wrong.profile", "VIPADYN\n  VIPADEF /24 DVA9\n  VIPAB 300 DVA1\nENDVIPADYN\n")
	nothing := write("nothing.profile", "")
	for _, s := range []step{
		{[]string{"obey", "MVS1", more}, exitDone,
			[]string{define + "\n  it is new\n  and more\n", "SOURCEIPA 192.168.44.10 APP*\n  conflict: port 60 has two holders\n"},
			[]string{"MVS1 reads " + more, "MVS1 has obeyed: 4 changes, 1 conflict\n"}},
		{[]string{"obey", "--dry-run", "mvs1", more}, exitDone, []string{define}, []string{"MVS1 would obey: 4 changes, 1 conflict; nothing is changed\n"}},
		{[]string{"obey", "MVS1", more, "--json"}, exitDone, []string{`"applied": true`}, nil},
		{[]string{"obey", "MVS1", wrong, "--dry-run", "--json"}, exitUsage, nil,
			[]string{wrong + `:2:15: found "DVA9", expected an address or one of the symbols DVA1` + "\n" + wrong + ":3:9: found"}},
		{[]string{"obey", "MVS1", nothing}, exitDone, nil, []string{"0 changes, 0 conflicts"}},
		{[]string{"obey", "MVS1", "nowhere.profile"}, exitUsage, nil, []string{"nowhere.profile"}},
		{[]string{"obey", "CLIENT", more}, exitNotFound, nil, []string{"no stack CLIENT"}},
		{[]string{"obey", "MVS1"}, exitUsage, nil, []string{"obey takes STACK FILE"}},
		{[]string{"fault", "kill", "MVS1"}, exitDone, nil, nil},
		{[]string{"obey", "MVS1", more}, exitFailed, nil, []string{"stack MVS1: the stack does not run"}},
	} {
		s.take(t)
	}
}

// TestLogsOfNothing asks for logs that are not there, which must not end the laboratory.
func TestLogsOfNothing(t *testing.T) {
	bringUp(t)
	for _, s := range []step{
		{[]string{"logs", "MVS1"}, exitDone, []string{"a stack begins"}, nil},
		{[]string{"logs", "MVS1", "NOPE"}, exitNotFound, nil, []string{`no application "NOPE" has run on node MVS1` + "\n"}},
		{[]string{"logs", "CLIENT", "NOPE"}, exitNotFound, nil, []string{"NOPE"}},
		{[]string{"logs", "CLIENT"}, exitNotFound, nil, []string{"CLIENT"}},
		{[]string{"logs", "NOPE"}, exitNotFound, nil, []string{"no node NOPE"}},
		{[]string{"logs", "MVS1", "../../lab.sock"}, exitFailed, nil, []string{"lab.sock"}},
		{[]string{"logs", "MVS1"}, exitDone, []string{"a stack begins"}, nil},
	} {
		s.take(t)
	}
}

func TestJSONOfALaboratory(t *testing.T) {
	name := bringUp(t)
	for _, args := range [][]string{
		{"list", "--json"}, {"list", name, "--json"}, {"display", "vdpt", "--json"}, {"plan", minimal, "--json"},
		{"version", "--json"},
	} {
		status, out, errors := invoke(t, args...)
		if status != exitDone || !json.Valid([]byte(out)) || errors != "" {
			t.Errorf("%q: status %d, %q, %q", args, status, out, errors)
		}
	}
}

func TestCompletionFromALaboratory(t *testing.T) {
	name := bringUp(t)
	for _, c := range []struct{ line, want, not string }{
		{"down ", name, "MVS1"},
		{"exec ", "CLIENT", name},
		{"fault kill ", "MVS1", "CLIENT"},
		{"fault kill MVS1 ", ":4", "MVS1"},
		{"fault link-down MVS1 ", "ext0", "CLIENT"},
		{"fault heal ", "lan", "MVS1"},
		{"fault drop xcf ", "MVS1", "CLIENT"},
		{"fault drop lan MVS1 ", "CLIENT", "MVS1"},
		{"logs MVS1 ", ":4", "CLIENT"},
		{"display vdpt ", "MVS1", "CLIENT"},
		{"obey ", "MVS1", "CLIENT"},
		{"vary ", "MVS1", "CLIENT"},
		{"vary MVS1 ", "quiesce", "CLIENT"},
		{"vary MVS1 quiesce ", ":4", "DVA1"},
		{"vary MVS1 deactivate ", "DVA1", "APPA"},
		{"vary MVS1 leavegroup ", ":4", "DVA1"},
		{"vary MVS1 quiesce APPA ", ":4", "MVS1"},
		{"obey MVS1 ", ":0", "CLIENT"},
		{"obey MVS1 x ", ":4", "MVS1"},
		{"display vdpt --lab ", name, "MVS1"},
	} {
		_, out, _ := invoke(t, append([]string{"__complete"}, strings.Split(c.line, " ")...)...)
		if !strings.Contains(out, c.want) || strings.Contains(out, c.not) {
			t.Errorf("%q completes to %q, want %q and not %q", c.line, out, c.want, c.not)
		}
	}
}

// TestAStackThatIsNotBuilt names what is missing before anything is built.
func TestAStackThatIsNotBuilt(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(manifest, []byte("name: none\nversion: 1\nstart: ['{{.Dir}}/stackd']\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	step{[]string{"up", minimal, "-i", manifest}, exitUsage, nil, []string{
		"stack MVS1 with implementation none: program " + filepath.Dir(manifest) + "/stackd", "build it first"}}.take(t)
	step{[]string{"up", minimal, "--name", "a/b", "-i", "none"}, exitUsage, nil, []string{"none"}}.take(t)
}
