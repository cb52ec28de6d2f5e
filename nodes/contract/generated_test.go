package contract

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The generated code is that of xcf.proto as it stands: what `go generate ./xcfpb` does,
// into another directory.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	t.Parallel()
	const protoc = "libprotoc 3.21.12"
	version, err := exec.Command("protoc", "--version").Output()
	if err != nil {
		t.Skipf("protoc is not installed: make setup: %v", err)
	}
	if got := strings.TrimSpace(string(version)); got != protoc {
		t.Skipf("%s is installed, the generated code is of %s", got, protoc)
	}
	dir := t.TempDir()
	plugin := filepath.Join(dir, "protoc-gen-go")
	run(t, "go", "build", "-o", plugin, "google.golang.org/protobuf/cmd/protoc-gen-go")
	run(t, "protoc", "--plugin="+plugin, "-I../..", "--go_out="+dir, "--go_opt=paths=source_relative", "nodes/contract/xcfpb/xcf.proto")
	fresh, err := os.ReadFile(filepath.Join(dir, "nodes/contract/xcfpb/xcf.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("xcfpb/xcf.pb.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(fresh), string(committed)); diff != "" {
		t.Errorf("run go generate ./nodes/contract/xcfpb (-fresh +committed):\n%s", diff)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
