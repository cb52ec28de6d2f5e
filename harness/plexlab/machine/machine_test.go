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

func TestAProgramThatDoesNotRunIsNoMissingFeature(t *testing.T) {
	_, err := machine.Check(t.Context(), []string{"/nonexistent/plexlab"})
	var missing *machine.MissingError
	if err == nil || errors.As(err, &missing) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nonexistent/plexlab") {
		t.Errorf("got %v, want an error about the program", err)
	}
}

func TestMissingFeaturesStandInOneLine(t *testing.T) {
	err := &machine.MissingError{Features: []machine.Feature{
		{Name: "the program nft", Missing: "not found", Remedy: "apt-get install nftables"},
		{Name: "veth", Missing: "not supported", Remedy: "modprobe veth"},
	}}
	if want := "this machine lacks the program nft: apt-get install nftables; veth: modprobe veth"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
