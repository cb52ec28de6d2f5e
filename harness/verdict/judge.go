package verdict

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/onsi/ginkgo/v2/types"
)

// Of judges one spec or setup node of a Ginkgo report. What the spec declared itself counts where
// its state agrees with it; else
//   - failed is FAIL in a spec, with what its assertion says of expected and actual, and ENGINE_ERROR in a node that runs once for a whole suite,
//     because there nothing was tested yet;
//   - panicked, interrupted, aborted and timed out are ENGINE_ERROR: specs state a maximum for
//     every wait on the implementation, so Ginkgo's own time-out catches the kit alone;
//   - passed after attempts that failed is ENGINE_ERROR: a verdict that flips is none;
//   - pending and skipped are SKIP.
//
// Failures in cleanup after the first one do not change the verdict.
func Of(spec types.SpecReport) (Declaration, error) {
	declared, err := declaration(spec)
	if err != nil {
		return Declaration{}, err
	}
	message := spec.Failure.Message
	switch spec.State {
	case types.SpecStatePassed:
		if declared.Verdict != "" {
			// A declaration ends its node; a node that went on swallowed it.
			return Declaration{Verdict: EngineError, Reason: "passed in spite of " + declared.String()}, nil
		}
		if spec.MaxFlakeAttempts > 1 && spec.NumAttempts > 1 {
			return Declaration{Verdict: EngineError, Reason: fmt.Sprintf("passed at attempt %d only", spec.NumAttempts)}, nil
		}
		return Declaration{Verdict: Pass}, nil
	case types.SpecStateFailed:
		switch {
		case declared.Verdict == Fail:
			return declared, nil
		case declared.Verdict != "" && declared.String() == message:
			return declared, nil
		case spec.LeafNodeType != types.NodeTypeIt:
			return Declaration{Verdict: EngineError, Reason: fmt.Sprintf("%s: %s", spec.LeafNodeType, message)}, nil
		}
		expected, actual := explain(message)
		return Declaration{Verdict: Fail, Reason: message, Expected: expected, Actual: actual}, nil
	case types.SpecStateSkipped:
		if declared.Verdict == Unimplemented {
			return declared, nil
		}
		if message == "" {
			message = "not selected"
		}
		return Declaration{Verdict: Skip, Reason: message}, nil
	case types.SpecStatePending:
		return Declaration{Verdict: Skip, Reason: "pending"}, nil
	case types.SpecStatePanicked:
		message = fmt.Sprintf("%s: %s", message, spec.Failure.ForwardedPanic)
	}
	return Declaration{Verdict: EngineError, Reason: fmt.Sprintf("%s: %s", spec.State, message)}, nil
}

// declaration returns what a spec says of itself: of several declarations the one that its first failure
// is, else the most severe.
func declaration(spec types.SpecReport) (Declaration, error) {
	var worst Declaration
	for _, entry := range spec.ReportEntries {
		if entry.Name != EntryName {
			continue
		}
		d, ok := entry.GetRawValue().(Declaration)
		if !ok { // the report came from a file or another process
			if err := json.Unmarshal([]byte(entry.Value.AsJSON), &d); err != nil {
				return Declaration{}, fmt.Errorf("read verdict of spec %q: %w", spec.FullText(), err)
			}
		}
		if !slices.Contains(All, d.Verdict) {
			return Declaration{}, fmt.Errorf("read verdict of spec %q: %q is none", spec.FullText(), d.Verdict)
		}
		if d.String() == spec.Failure.Message {
			return d, nil
		}
		if worst.Verdict == "" || d.Verdict.Severity() > worst.Verdict.Severity() {
			worst = d
		}
	}
	return worst, nil
}
