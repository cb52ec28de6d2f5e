// Package machine says whether this machine can run a laboratory: it tries each feature of
// the kernel that one needs, in namespaces of its own, and names what is missing.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

// A Feature is one thing that a laboratory needs.
type Feature struct {
	// Name of the feature, as the kernel's documentation has it.
	Name string `json:"name"`
	// Use says what it is needed for.
	Use string `json:"use"`
	// Missing is empty if the feature is there; else what the kernel answered.
	Missing string `json:"missing,omitempty"`
	// Remedy says what to do about it; empty if it is there.
	Remedy string `json:"remedy,omitempty"`
}

// A MissingError lists what this machine lacks.
type MissingError struct{ Features []Feature }

// Error names every missing feature in one line, with what to do.
func (e *MissingError) Error() string {
	words := make([]string, len(e.Features))
	for i, f := range e.Features {
		words[i] = f.Name + ": " + f.Remedy
	}
	return "this machine lacks " + strings.Join(words, "; ")
}

// Check tries every feature. inside is the command that calls Inside in a new process. The
// features are returned in any case; the error is a MissingError if one is not there.
// Privilege: root, or the right to make user namespaces.
func Check(ctx context.Context, inside []string) ([]Feature, error) {
	namespaces := Feature{Name: "namespaces of users, processes, mounts and networks", Use: "everything"}
	output, err := lab.Try(ctx, inside)
	if refused := (*lab.RefusedError)(nil); errors.As(err, &refused) {
		namespaces.Missing, namespaces.Remedy = refused.Err.Error(), refused.Reason
		return []Feature{namespaces}, &MissingError{[]Feature{namespaces}}
	}
	features := []Feature{namespaces}
	if err != nil {
		return features, err
	}
	var tried []Feature
	if err := json.Unmarshal(output, &tried); err != nil {
		return features, fmt.Errorf("read what was tried inside the namespaces: %w", err)
	}
	features = append(features, tried...)
	var missing []Feature
	for _, f := range features {
		if f.Missing != "" {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return features, &MissingError{missing}
	}
	return features, nil
}
