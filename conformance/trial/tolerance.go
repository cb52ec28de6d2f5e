package trial

import (
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
)

// Limit is the most that a spec waits for one thing the implementation has to do.
func Limit() time.Duration { return strictly(Allowed(tolerance.Limit)) }

// Quiet is how long a spec watches for what must not happen. Nothing but a message that is
// wrongly sent within it is found.
func Quiet() time.Duration { return Allowed(tolerance.Quiet) }

// terms is the manifest by which the times of a run are taken. Specs of one that cannot be read end as
// soon as they want to start it, whatever their times are.
var terms = sync.OnceValue(func() *impl.Manifest {
	manifest, err := impl.Read(implementationPath())
	if err != nil {
		return &impl.Manifest{ReadyTimeout: tolerance.Ready.Standard}
	}
	return manifest
})

// Allowed is what the implementation under test is given of a tolerance: the standard, unless its
// manifest deviates.
func Allowed(t tolerance.Tolerance) time.Duration { return terms().Allowed(t) }

// allowed are all of them, by name.
func allowed() map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, t := range tolerance.All() {
		all[t.Name] = Allowed(t)
	}
	return all
}
