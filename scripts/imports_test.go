// Package scripts tests what the scripts of this directory rely on.
package scripts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/plexlab-dev/plexlab"

// imports is the import table of the design, each rule broken once and kept at least where a
// room imports another.
var imports = []struct {
	room    string
	imports string
	allowed bool
}{
	{"nodes/contract/control", module + "/nodes/contract", true},
	{"nodes/contract", module + "/nodes/vipa", false},
	{"nodes/profile", module + "/nodes/contract", false},
	{"nodes/sockets", module + "/nodes/contract", false},
	{"nodes/routing", module + "/nodes/contract", false},
	{"nodes/vipa", module + "/nodes/contract", true},
	{"nodes/vipa", module + "/nodes/xcf", false},
	{"nodes/vipa", module + "/nodes/profile", false},
	{"nodes/vipa", "net/netip", true},
	{"nodes/vipa", "net", false},
	{"nodes/vipa", "os", false},
	{"nodes/vipa", "time", false},
	{"nodes/vipa", "sync/atomic", false},
	{"nodes/xcf", module + "/nodes/contract", true},
	{"nodes/xcf", module + "/nodes/vipa", false},
	{"nodes/cf", module + "/nodes/contract", true},
	{"nodes/cf", module + "/nodes/vipa", false},
	{"nodes/workload", module + "/nodes/contract", true},
	{"nodes/workload", module + "/nodes/vipa", false},
	{"nodes/datapath", module + "/nodes/vipa", true},
	{"nodes/datapath", module + "/nodes/sockets", false},
	{"nodes/stackd", module + "/nodes/sockets", true},
	{"nodes/stackd", module + "/topo", false},
	{"nodes/stackd", module + "/harness/lab", false},
	{"topo", module + "/nodes/profile", true},
	{"topo", module + "/nodes/contract", false},
	{"topo", module + "/harness/lab", false},
	{"harness/plexlab", module + "/topo", true},
	{"harness/plexlab", module + "/nodes/contract/control", true},
	{"harness/plexlab", module + "/nodes/profile", true},
	{"harness/plexlab", module + "/nodes/vipa", false},
	{"harness/plexlab", module + "/nodes/stackd/server", false},
	{"harness/lab", module + "/conformance/requirements", false},
	{"conformance/fig12", module + "/harness/lab", true},
	{"conformance/fig12", module + "/conformance/requirements", true},
	{"conformance/fig12", module + "/nodes/contract", true},
	{"conformance/fig12", module + "/nodes/vipa", false},
	{"conformance/fig12", module + "/nodes/datapath", false},
}

// TestImportRules builds a house of empty rooms with one package for each row of imports and
// has the linter find exactly those that break a rule.
func TestImportRules(t *testing.T) {
	house := t.TempDir()
	write(t, house, "go.mod", "module "+module+"\n\ngo 1.26\n")
	config, err := os.ReadFile("../.depguard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, house, ".depguard.yaml", string(config))
	want := map[string]bool{}
	for i, row := range imports {
		if own, ok := strings.CutPrefix(row.imports, module+"/"); ok {
			write(t, house, own+"/room.go", "package room\n")
		}
		file := fmt.Sprintf("%s/case%d/case.go", row.room, i)
		write(t, house, file, fmt.Sprintf("package room\n\nimport _ %q\n", row.imports))
		if !row.allowed {
			want[file] = true
		}
	}

	output, _ := command(t, house, depguard(t), "./...").CombinedOutput() // fails when it finds something

	got := map[string]bool{}
	for _, finding := range regexp.MustCompile(`(?m)^(\S+case\.go):\d+:\d+: import `).FindAllStringSubmatch(string(output), -1) {
		file, err := filepath.Rel(house, finding[1])
		if err != nil {
			t.Fatal(err)
		}
		got[file] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("imports found forbidden (-want +got):\n%s\nthe linter said:\n%s", diff, output)
	}
}

// depguard returns the path of the pinned linter, built into the build cache.
func depguard(t *testing.T) string {
	t.Helper()
	output, err := command(t, "tools", "go", "tool", "-n", "depguard").Output()
	if err != nil {
		t.Fatalf("build depguard: %v", err)
	}
	return strings.TrimSpace(string(output))
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	// A workspace or flags of the caller speak of another module.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	return cmd
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
