package claimer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

func TestServe(t *testing.T) {
	in := strings.NewReader(`{"do":"cycle","dvipa":"44.0.0.10","for_ns":1000,"timed":true}` + "\n" + `{"do":"fly","dvipa":"44.0.0.10"}` + "\n")
	var out strings.Builder
	var jobs []claimer.Job
	err := claimer.Serve(in, &out, func(job claimer.Job) (claimer.Answer, error) {
		jobs = append(jobs, job)
		if job.Do == claimer.Cycle {
			return claimer.Answer{Operations: 2, Elapsed: 1500, Took: claimer.Histogram{96: 1}}, nil
		}
		return claimer.Answer{Ports: []uint16{1024}}, errors.New("cannot fly")
	})
	if err != nil {
		t.Fatal(err)
	}
	dvipa := netip.MustParseAddr("44.0.0.10")
	if diff := cmp.Diff([]claimer.Job{{Do: claimer.Cycle, DVIPA: dvipa, For: time.Microsecond, Timed: true}, {Do: "fly", DVIPA: dvipa}},
		jobs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("jobs, want (-) got (+):\n%s", diff)
	}
	want := "{}\n" + `{"operations":2,"elapsed_ns":1500,"took_ns":{"96":1}}` + "\n" + `{"ports":[1024],"error":"cannot fly"}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("answers, want (-) got (+):\n%s", diff)
	}
	if err := claimer.Serve(strings.NewReader("no job"), &out, nil); err == nil {
		t.Error("what is no job was passed over")
	}
}

// The conversation in the manual is one in this package's terms, and the manual names all of them.
func TestManualHasTheConversation(t *testing.T) {
	manual, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(manual), "```claimer\n")
	text, after, closed := strings.Cut(text, "```\n")
	if !found || !closed {
		t.Fatal("README.md has no block claimer")
	}
	for line := range strings.Lines(text) {
		var said any = new(claimer.Answer)
		line, isJob := strings.CutPrefix(line, "> ")
		if isJob {
			said = new(claimer.Job)
		} else {
			line = strings.TrimPrefix(line, "< ")
		}
		if err := json.Unmarshal([]byte(line), said); err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if again, err := json.Marshal(said); err != nil || string(again)+"\n" != line {
			t.Errorf("%q is read as %s, %v", line, again, err)
		}
	}
	for _, work := range []claimer.Work{claimer.Cycle, claimer.Hold, claimer.Release, claimer.Churn} {
		if !strings.Contains(after, fmt.Sprintf("\n| `%s` | ", work)) {
			t.Errorf("README.md does not say what %s is", work)
		}
	}
	for _, said := range []any{claimer.Job{}, claimer.Answer{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(said)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(text+after, "`"+name+"`") {
				t.Errorf("README.md does not name %s", name)
			}
		}
	}
	h := claimer.Histogram{}
	h.Add(1_000_000)
	if h[999_424] != 1 || !strings.Contains(after, "1000000 counts as 999424") {
		t.Errorf("README.md does not round as a histogram does: %v", h)
	}
}

func TestRepeatEndsWithTheTimeOrAnError(t *testing.T) {
	n := 0
	answer, err := claimer.Repeat(time.Millisecond, 2, func() error { n++; return nil })
	if err != nil || answer.Operations != 2*n || n == 0 || answer.Elapsed < time.Millisecond {
		t.Errorf("after %d repetitions: %+v, %v", n, answer, err)
	}
	failed := errors.New("failed")
	if answer, err = claimer.Repeat(time.Hour, 1, func() error { return failed }); !errors.Is(err, failed) || answer.Operations != 0 {
		t.Errorf("a repetition that fails: %+v, %v", answer, err)
	}
}

func TestHistogramRoundsToSixBinaryDigits(t *testing.T) {
	h := claimer.Histogram{}
	for _, took := range []time.Duration{0, 1, 63, 64, 65, 126, 127, 1_000_000} {
		h.Add(took)
	}
	want := claimer.Histogram{0: 1, 1: 1, 63: 1, 64: 2, 126: 2, 999_424: 1}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}
