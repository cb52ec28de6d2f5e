// Package interop certifies that an implementation shares a plex with another one: every role, routing stack, backup and
// target, is held once by either beside the other.
package interop

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestInterop(t *testing.T) { trial.Suite(t, "interop", impl.Core) }
