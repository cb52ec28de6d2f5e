// Package profile certifies the profile language: each form of it in the profile of a stack, seen
// in the list that the stack tells the others. Stacks read the text as it is written here.
package profile

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestProfile(t *testing.T) { trial.Suite(t, "profile", impl.Core) }
