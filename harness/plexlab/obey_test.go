package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// What other stacks use is asked of each one that runs; a person hears of the others.
func TestInUseOfOtherStacks(t *testing.T) {
	t.Parallel()
	told := control.InUse{XCF: netip.MustParseAddr("10.1.0.2")}
	got, unknown := inUse([]lab.StatusNode{{Name: "MVS1"}, {Name: "MVS2"}, {Name: "MVS3"}, {Name: "MVS4"}}, "MVS1", func(s lab.StatusNode) (control.InUse, error) {
		switch s.Name {
		case "MVS2":
			return told, nil
		case "MVS3":
			return control.InUse{}, fmt.Errorf("%w (stopped)", errNotRunning)
		}
		return control.InUse{}, errors.New("its implementation does not offer it")
	})
	if len(got) != 1 || got[0].XCF != told.XCF {
		t.Errorf("told: %v, want MVS2's", got)
	}
	want := []string{"which ports MVS4 uses is known from the tables of MVS1 alone: its implementation does not offer it"}
	if !slices.Equal(unknown, want) {
		t.Error(cmp.Diff(want, unknown))
	}
}
