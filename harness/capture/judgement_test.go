package capture

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/segment"
)

// judged is a capture that was asked in every role, its file, and the judgements as a file has them.
func judged(t *testing.T) (path string, judgements []Judgement) {
	t.Helper()
	w := newWire(t)
	request, reset := segment.Connect(client, service), segment.Pattern{Src: service, Has: segment.RST}
	far := w.On("far").Received()
	w.send(t, 1)
	if _, err := far.As(Stimulus).Await(within(t), request); err != nil {
		t.Fatal(err)
	}
	mark := w.Mark()
	w.sendSegment(t, segment.NewData(client, service, 2, 1, []byte("marker")))
	if err := far.After(mark).NoneBefore(within(t), reset, segment.Pattern{Payload: []byte("marker")}); err != nil {
		t.Fatal(err)
	}
	if got := far.Matching(request); len(got) != 1 {
		t.Fatalf("%d requests", len(got))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := far.As(Attempt).Await(over, reset); err == nil {
		t.Fatal("a reset was seen")
	}
	if _, err := far.Await(within(t), seq(1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(w.Judgements())
	if err == nil {
		err = json.Unmarshal(text, &judgements)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.path, judgements
}

func TestJudgementsAreDerivedAgainFromTheFile(t *testing.T) {
	path, judgements := judged(t)
	var roles []string
	for _, j := range judgements {
		roles = append(roles, string(j.Role))
	}
	if got, want := strings.Join(roles, " "), "stimulus expected unwanted counted attempt expected"; got != want {
		t.Fatalf("want the roles %s, got %s", want, got)
	}
	if j := judgements[0]; j.Limit() <= 0 || j.Seen < 0 || j.Until != j.Seen+1 || !j.Holds() {
		t.Errorf("a stimulus that was awaited: %+v", j)
	}
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := range judgements {
		err := opened.Derive(j)
		if last := i == len(judgements)-1; last != !j.Derivable() || (err != nil) != last {
			t.Errorf("%s: %v", j, err)
		}
	}
}

func TestAJudgementThatTheFileContradicts(t *testing.T) {
	path, judgements := judged(t)
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	stimulus, marker, unwanted, counted := judgements[0], judgements[1], judgements[2], judgements[3]
	for name, change := range map[string]func() Judgement{
		"seen though it was not":      func() Judgement { unwanted.Seen = unwanted.Until - 1; return unwanted },
		"not seen though it was":      func() Judgement { stimulus.Seen = -1; return stimulus },
		"another packet":              func() Judgement { marker.Seen++; marker.Until++; return marker },
		"more than there were":        func() Judgement { counted.Count++; return counted },
		"packets that the file lacks": func() Judgement { counted.Until = 1 << 20; return counted },
		"a direction that is none":    func() Judgement { counted.Direction = "up"; return counted },
		"unwanted, and it was there": func() Judgement {
			j := judgements[0]
			j.Role, j.Seen = Unwanted, -1
			return j
		},
	} {
		if j := change(); opened.Derive(j) == nil {
			t.Errorf("%s: derived from the file", name)
		}
	}
	opened.lost["far"] = 1
	var loss *LossError
	if err := opened.Derive(judgements[2]); !errors.As(err, &loss) {
		t.Errorf("an absence in a file that lost packets: want a *LossError, got %v", err)
	}
	if err := opened.Derive(judgements[0]); err != nil {
		t.Errorf("what was seen stands whatever was lost: %v", err)
	}
}

func TestAFileThatIsCutOffIsNotRead(t *testing.T) {
	path, _ := judged(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 10, len(whole) / 2, len(whole) - 60} {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Errorf("%d of %d bytes were read as a whole file", size, len(whole))
		}
	}
}
