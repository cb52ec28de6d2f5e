// Package evidence is what a spec leaves of the packets that it judged by: the pcapng file of its
// captures and, beside it, every question that it put to them with the answer. From the two alone the
// packet verdict of the spec can be derived again, by the code that the spec itself used.
package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// The files of a spec's directory.
const (
	// PacketsFile is what capture.Start writes.
	PacketsFile = "packets.pcapng"
	// JudgementsFile is a list of capture.Judgement.
	JudgementsFile = "judgements.json"
)

// WriteJudgements leaves the judgements of a capture in the directory of its spec.
func WriteJudgements(dir string, judgements []capture.Judgement) error {
	if judgements == nil {
		judgements = []capture.Judgement{}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false) // words hold >
	err := encoder.Encode(judgements)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, JudgementsFile), text.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write judgements: %w", err)
	}
	return nil
}

// Derived is what the evidence of one spec comes to.
type Derived struct {
	// Verdict is Pass where every stimulus and everything expected is in the packets and nothing unwanted
	// is; Vacuous where a stimulus is not, Fail otherwise. It is of the packets alone: a spec may fail
	// for other reasons.
	Verdict verdict.Verdict
	// Again is how many judgements were derived from the packets, Opaque how many cannot be, because a
	// function of the spec decided.
	Again, Opaque int
	// Longest is the longest that a packet was waited for which had to come.
	Longest time.Duration
	// Contradictions are judgements that the packets do not bear out.
	Contradictions []error
}

// Read reads what WriteJudgements and the capture left in the directory of a spec.
func Read(dir string) ([]capture.Judgement, *capture.Capture, error) {
	text, err := os.ReadFile(filepath.Join(dir, JudgementsFile))
	if err != nil {
		return nil, nil, fmt.Errorf("read judgements: %w", err)
	}
	var judgements []capture.Judgement
	if err := json.Unmarshal(text, &judgements); err != nil {
		return nil, nil, fmt.Errorf("read judgements in %s: %w", dir, err)
	}
	packets, err := capture.Open(filepath.Join(dir, PacketsFile))
	return judgements, packets, err
}

// Derive judges the packets of a spec again. An error says that its files cannot be read.
func Derive(dir string) (Derived, error) {
	judgements, packets, err := Read(dir)
	if err != nil {
		return Derived{}, err
	}
	derived := Derived{Verdict: verdict.Pass}
	for _, j := range judgements {
		derived.add(packets, j)
	}
	return derived, nil
}

func (d *Derived) add(packets *capture.Capture, j capture.Judgement) {
	if !j.Derivable() {
		d.Opaque++
	} else if err := packets.Derive(j); err != nil {
		d.Contradictions = append(d.Contradictions, err)
	} else {
		d.Again++
	}
	if j.Role == capture.Stimulus || j.Role == capture.Expected {
		d.Longest = max(d.Longest, j.Limit())
	}
	if j.Holds() {
		return
	}
	found := verdict.Fail
	if j.Role == capture.Stimulus {
		found = verdict.Vacuous
	}
	d.Verdict = verdict.Worst(d.Verdict, found)
}

// Supports is an error where the packets speak against the verdict of their spec.
func (d Derived) Supports(v verdict.Verdict) error {
	if v == verdict.Pass && d.Verdict != verdict.Pass {
		return errors.Join(append(d.Contradictions, fmt.Errorf("the spec says %s, its packets say %s", v, d.Verdict))...)
	}
	return errors.Join(d.Contradictions...)
}
