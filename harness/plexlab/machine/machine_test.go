package machine_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/plexlab/machine"
)

// insideVariable makes this test program the one that runs inside the namespaces.
const insideVariable = "PLEXLAB_MACHINE_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		if err := machine.Inside(os.Stdout); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEveryFeatureIsTried(t *testing.T) {
	t.Setenv(insideVariable, "1")
	features, err := machine.Check(t.Context(), []string{"/proc/self/exe"})
	if missing := (*machine.MissingError)(nil); errors.As(err, &missing) {
		t.Skipf("a laboratory cannot run here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(features) < 8 {
		t.Errorf("%d features tried: %v", len(features), features)
	}
}

func TestNamespacesThatCannotBeMadeAreNamed(t *testing.T) {
	_, err := machine.Check(t.Context(), []string{"/nonexistent/plexlab"})
	var missing *machine.MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "namespaces") {
		t.Errorf("got %v, want a MissingError that names namespaces", err)
	}
}
