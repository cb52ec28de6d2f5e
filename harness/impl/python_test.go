package impl

import (
	"os/exec"
	"testing"
)

// The second implementation has tests of its own: the worked bytes of the vendor's manual.
func TestPythonStackAgreesWithTheManual(t *testing.T) {
	t.Parallel()
	command := exec.Command("python3", "-B", "-m", "unittest", "test_manual")
	command.Dir = "../../fixtures/implementations/python"
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("python3 -m unittest test_manual: %v\n%s", err, output)
	}
}

func TestPythonManifest(t *testing.T) {
	t.Parallel()
	manifest, err := Read("../../fixtures/implementations/python.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !manifest.Has(Core) || manifest.Traces {
		t.Errorf("got capabilities %v and traces %t, want core and no traces", manifest.Capabilities, manifest.Traces)
	}
}
