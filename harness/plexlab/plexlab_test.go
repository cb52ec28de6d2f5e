package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// needsLaboratories skips a test where the machine does not let this user make the namespaces of a laboratory, and says what it
// misses.
func needsLaboratories(t *testing.T, status int, errors string) {
	t.Helper()
	if status == exitMissing && strings.Contains(errors, "namespace") {
		t.Skipf("no laboratory can be built here: %s", errors)
	}
}

// invoke carries out a command line as main does and returns status, output and errors.
func invoke(t *testing.T, args ...string) (status int, out, errors string) {
	t.Helper()
	files := make([]*os.File, 3)
	for i := range files {
		file, err := os.Create(filepath.Join(t.TempDir(), "stream"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	// It outlives the test, for what cleans up after it.
	status = run(context.WithoutCancel(t.Context()), args, streams{files[0], files[1], files[2]})
	return status, content(t, files[1]), content(t, files[2])
}

func content(t *testing.T, file *os.File) string {
	t.Helper()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	minimal = "../../fixtures/topologies/minimal.yaml"
	figure9 = "../../fixtures/topologies/figure9.yaml"
)

func TestMistakesEndInOneLineAndTheirStatus(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"unknown command", []string{"dwn"}, exitUsage, `no command "dwn"; did you mean down?`},
		{"unknown command unlike any", []string{"frobnicate"}, exitUsage, "see: plexlab --help"},
		{"unknown fault", []string{"fault", "explode", "MVS1"}, exitUsage, `no command "explode"; see: plexlab fault --help`},
		{"misspelt fault", []string{"fault", "kil", "MVS1"}, exitUsage, "did you mean kill?"},
		{"unknown shell", []string{"completion", "tcsh"}, exitUsage, `no command "tcsh"`},
		{"missing argument", []string{"plan"}, exitUsage, "plan takes FILE; see: plexlab plan --help"},
		{"argument too many", []string{"version", "all"}, exitUsage, "version takes no arguments"},
		{"missing command", []string{"exec", "MVS1"}, exitUsage, "exec takes NODE -- COMMAND [ARGUMENT...]; see"},
		{"unknown flag", []string{"list", "--jsn"}, exitUsage, "unknown flag: --jsn"},
		{"command without dashes", []string{"exec", "MVS1", "ls", "-l"}, exitUsage, "put -- before the command"},
		{"unknown report", []string{"display", "nothing"}, exitUsage, `no report "nothing"`},
		{"no such file", []string{"plan", "nowhere.yaml"}, exitUsage, "nowhere.yaml"},
		{"no such manifest", []string{"up", minimal, "-i", "nowhere.yaml"}, exitUsage, "nowhere.yaml"},
		{"no such lab", []string{"down", "no-such-lab"}, exitNotFound, "no laboratory no-such-lab is up"},
		{"no such lab for display", []string{"display", "home", "--lab", "no-such-lab"}, exitNotFound, "no-such-lab"},
		{"no such lab for a fault", []string{"fault", "kill", "MVS1", "--lab", "no-such-lab"}, exitNotFound, "no-such-lab"},
		{"fault without its arguments", []string{"fault", "drop", "xcf"}, exitUsage, "fault drop"},
		{"both forms at once", []string{"plan", minimal, "--json", "--picture"}, exitUsage, "json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, errors := invoke(t, test.args...)
			if status != test.status || !strings.Contains(errors, test.says) {
				t.Errorf("status %d and %q, want %d and %q", status, errors, test.status, test.says)
			}
			if strings.Count(errors, "\n") != 1 || !strings.HasPrefix(errors, "plexlab: ") {
				t.Errorf("got %q, want one line of plexlab", errors)
			}
		})
	}
}

// TestMistakesInATopologyAreALineEach: the places stand first, as editors look for them.
func TestMistakesInATopologyAreALineEach(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	text, err := os.ReadFile(minimal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "stacks:", "stakcs:", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	status, _, errors := invoke(t, "up", file)
	if status != exitUsage {
		t.Errorf("status %d, want %d", status, exitUsage)
	}
	for line := range strings.Lines(errors) {
		if !strings.HasPrefix(line, file+":") {
			t.Errorf("got %q, want a line that begins with %s:LINE", line, file)
		}
	}
	if !strings.Contains(errors, `"stakcs"`) {
		t.Errorf("got %q, want the unknown key in it", errors)
	}
}

func TestPlanIsTheSameEveryTime(t *testing.T) {
	for _, form := range [][]string{{}, {"--json"}, {"--picture"}} {
		args := append([]string{"plan", figure9}, form...)
		status, first, errors := invoke(t, args...)
		if status != exitDone || !strings.Contains(first, "MVS5") {
			t.Fatalf("%v: status %d, %s%s", args, status, first, errors)
		}
		if _, second, _ := invoke(t, args...); first != second {
			t.Errorf("%v: two runs differ", args)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"display ", "vcrt"},
		{"fault ", "link-down"},
		{"pl", "plan"},
	} {
		words := strings.Split(test.line, " ")
		if _, out, _ := invoke(t, append([]string{"__complete"}, words...)...); !strings.Contains(out, test.want) {
			t.Errorf("%q completes to %q, want %q among it", test.line, out, test.want)
		}
	}
}
