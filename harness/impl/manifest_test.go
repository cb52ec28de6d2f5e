package impl_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/nodes/profile"
)

const reference = "../../fixtures/implementations/reference.yaml"

var parameters = impl.Parameters{
	Plex: "PLEX1", Stack: "MVS1", XCFAddress: netip.MustParseAddr("10.1.0.1"), XCFInterface: "xcf0",
	Outside: []string{"ext0", "ext1"}, Profile: "/p", PortFile: "/ports", Control: "/c", Key: "/k",
	HelloMS: 50, DeadMS: 500,
	PoolFirst: 1024, PoolLast: 65535, RestMS: 60000, Sharing: "port-file",
	Selection: "agent", PolicyAgent: "/a", SelectionMS: 1000,
	Advertising: "ospf", RoutingHelloS: 1, RoutingDeadS: 3, BFDMS: 200,
}

func TestReferenceCommands(t *testing.T) {
	manifest, err := impl.Read(reference)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	start, err := manifest.StartCommand(parameters)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{root + "/out/bin/stackd", "run", "--plex", "PLEX1", "--stack", "MVS1", "--xcf-address", "10.1.0.1",
		"--xcf-interface", "xcf0", "--outside", "ext0,ext1", "--profile", "/p", "--port-file", "/ports", "--control", "/c",
		"--key", "/k", "--hello-ms", "50", "--dead-ms", "500",
		"--pool", "1024-65535", "--port-rest-ms", "60000", "--sharing", "port-file", "--advertising", "ospf",
		"--routing-hello-s", "1", "--routing-dead-s", "3", "--bfd-ms", "200", "--selection", "agent", "--policy-agent", "/a", "--selection-ms", "1000", "--variant", "specified-address-bypass"}
	if diff := cmp.Diff(want, start); diff != "" {
		t.Errorf("start command, want (-) got (+):\n%s", diff)
	}
	application := parameters
	application.App = "APPA"
	launch, err := manifest.LaunchCommand(application, []string{"nginx", "-p", "/x"})
	if err != nil {
		t.Fatal(err)
	}
	want = []string{root + "/out/bin/stackd", "exec", "--control", "/c", "--app", "APPA", "--", "nginx", "-p", "/x"}
	if diff := cmp.Diff(want, launch); diff != "" {
		t.Errorf("launch command, want (-) got (+):\n%s", diff)
	}
	claim, err := manifest.ClaimCommand(parameters)
	if err != nil {
		t.Fatal(err)
	}
	want = []string{root + "/out/bin/stackd", "claim", "--plex", "PLEX1", "--stack", "MVS1", "--xcf-address", "10.1.0.1",
		"--port-file", "/ports", "--pool", "1024-65535", "--port-rest-ms", "60000"}
	if diff := cmp.Diff(want, claim); diff != "" {
		t.Errorf("claim command, want (-) got (+):\n%s", diff)
	}
	all := profile.Weights | profile.ClusterPorts | profile.Ranges | profile.SourceIPAs | profile.IPv6
	if got := manifest.Features(); got != all {
		t.Errorf("features that profiles can ask for: got %b, want %b", got, all)
	}
	if !manifest.Has(impl.Core) || manifest.Has("fly") {
		t.Errorf("capabilities %v: want core and not fly", manifest.Capabilities)
	}
}

func TestOneCapabilityContainsAnother(t *testing.T) {
	manifest, err := impl.Parse("m.yaml", []byte("name: tiny\nversion: 1\nstart: [tiny]\ncapabilities: [takeover, core]\n"), "/somewhere")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]impl.Capability{impl.Core, impl.Backup, impl.Takeover}, manifest.Capabilities); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	got, err := impl.Parse("m.yaml", []byte("name: tiny\nversion: 1\nstart: [tiny, '{{.Variant}}']\n"), "/somewhere")
	if err != nil {
		t.Fatal(err)
	}
	want := &impl.Manifest{Name: "tiny", Version: "1", Start: []string{"tiny", "{{.Variant}}"},
		ReadyTimeout: 10 * time.Second, Variant: impl.SpecifiedAddressBypass, Dir: "/somewhere"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
	argv, err := got.LaunchCommand(parameters, []string{"nginx"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"nginx"}, argv); diff != "" {
		t.Errorf("without a launcher, want (-) got (+):\n%s", diff)
	}
	other := parameters
	other.Variant = impl.EnumeratedOnly
	argv, err = got.StartCommand(other)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tiny", "enumerated-only"}, argv); diff != "" {
		t.Errorf("with another variant, want (-) got (+):\n%s", diff)
	}
}

func TestMistakes(t *testing.T) {
	const head = "name: x\nversion: 1\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "m.yaml: name is missing"},
		{"not YAML", "name: [", "m.yaml:1:7: "},
		{"not a mapping", "- a\n", "m.yaml:1:1: "},
		{"unknown key", head + "start: [x]\nlaunhc: [x]\n", `m.yaml:4:1: unknown field "launhc"`},
		{"key twice", "name: x\nname: y\n", "m.yaml:2:1: "},
		{"no start", head, "m.yaml: start is missing"},
		{"start is no list", head + "start: stackd\n", "m.yaml:3:8: "},
		{"no program", head + "start: []\n", "start is missing"},
		{"broken template", head + "start: ['{{.Stack']\n", "m.yaml:3:9: argument"},
		{"unknown field of a template", head + "start: [x, '{{.Stak}}']\n", "m.yaml:3:12: argument"},
		{"broken launcher", head + "start: [x]\nlaunch: [y, '{{.No}}']\n", "m.yaml:4:13: argument"},
		{"broken claimer", head + "start: [x]\nclaim: [y, '{{.No}}']\n", "m.yaml:4:12: argument"},
		{"files elsewhere", head + "start: [x]\nfiles: [../x]\n", `m.yaml:4:9: files "../x"`},
		{"broken pattern", head + "start: [x]\nfiles: [a, '[']\n", `m.yaml:4:12: files "["`},
		{"unknown capability", head + "start: [x]\ncapabilities:\n  - core\n  - fly\n", `m.yaml:6:5: capability "fly"`},
		{"capability twice", head + "start: [x]\ncapabilities: [core, core]\n", `m.yaml:4:22: capability "core" is declared twice`},
		{"unknown variant", head + "start: [x]\nvariant: both\n", `m.yaml:4:10: variant "both"`},
		{"timeout of zero", head + "start: [x]\nready_timeout: 0s\n", "m.yaml:4:16: ready_timeout 0s"},
		{"timeout too long", head + "start: [x]\nready_timeout: 6m\n", "m.yaml:4:16: ready_timeout 6m0s"},
		{"timeout that is none", head + "start: [x]\nready_timeout: fast\n", "m.yaml:4:16: ready_timeout: expected a time"},
		{"timeout without a unit", head + "start: [x]\nready_timeout: 2\n", "m.yaml:4:16: ready_timeout: expected a time"},
		{"deviation from nothing", head + deviating("reason: r"), "m.yaml:5:"},
		{"deviation from two things", head + deviating("tolerance: limit, value: 5s, interpretation: I1, reason: r"), "names a tolerance or"},
		{"deviation without a reason", head + deviating("interpretation: I1"), "from I1 has no reason"},
		{"deviation twice", head + deviating("interpretation: I1, reason: r", "interpretation: I1, reason: r"), "from I1 is declared twice"},
		{"deviation from no interpretation", head + deviating("interpretation: T1, reason: r"), `interpretation "T1"`},
		{"unknown tolerance", head + deviating("tolerance: patience, value: 5s, reason: r"), `tolerance "patience": expected one of limit`},
		{"tolerance above its maximum", head + deviating("tolerance: limit, value: 11s, reason: r"), "its published maximum is 10s"},
		{"tolerance below its minimum", head + deviating("tolerance: quiet, value: 10ms, reason: r"), "its published minimum is 150ms"},
		{"tolerance not raised", head + deviating("tolerance: limit, value: 3s, reason: r"), "3s is no looser than the standard"},
		{"value of ready", head + deviating("tolerance: ready, value: 2m, reason: r"), "ready_timeout is the value"},
		{
			"too many interpretations",
			head + deviating("interpretation: I1, reason: r", "interpretation: I2, reason: r", "interpretation: I3, reason: r", "interpretation: I4, reason: r"),
			"at most 3 may be",
		},
		{"control character", "name: \"a\\nb\"\nversion: 1\nstart: [x]\n", "m.yaml:1:7: name and version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			manifest, err := impl.Parse("m.yaml", []byte(c.text), "/")
			if err == nil {
				t.Fatalf("accepted: %+v", manifest)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with %q", err, c.want)
			}
			var placed *impl.Error
			if !errors.As(err, &placed) {
				t.Errorf("%T is not an *impl.Error", err)
			}
		})
	}
}

// deviating is the rest of a manifest with deviations.
func deviating(deviations ...string) string {
	text := "start: [x]\ndeviations:\n"
	for _, d := range deviations {
		text += "  - {" + d + "}\n"
	}
	return text
}

func TestDeviations(t *testing.T) {
	manifest, err := impl.Parse("m.yaml", []byte("name: x\nversion: 1\nready_timeout: 2m\n"+
		deviating("tolerance: limit, value: 5s, reason: slow", "interpretation: I15, reason: older")), "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tolerance tolerance.Tolerance
		want      time.Duration
	}{{tolerance.Limit, 5 * time.Second}, {tolerance.Ready, 2 * time.Minute}, {tolerance.Quiet, tolerance.Quiet.Standard}} {
		if got := manifest.Allowed(c.tolerance); got != c.want {
			t.Errorf("%s: want %s, got %s", c.tolerance.Name, c.want, got)
		}
	}
	if d := manifest.Deviates("I15"); d == nil || d.Reason != "older" || manifest.Deviates("I1") != nil || manifest.Deviates("") != nil {
		t.Errorf("deviations from interpretations: %+v", d)
	}
	if err := manifest.CheckTerms(); err == nil || !strings.Contains(err.Error(), "ready_timeout 2m0s is more than 1m0s") {
		t.Errorf("a ready_timeout above the standard without a reason: %v", err)
	}
	manifest.Deviations = append(manifest.Deviations, impl.Deviation{Tolerance: "ready", Reason: "many tables"})
	if err := manifest.CheckTerms(); err != nil {
		t.Error(err)
	}
	want := []string{
		"tolerance limit: 5s, where the standard is 3s and the most 10s, because: slow",
		"interpretation I15, because: older",
		"tolerance ready: 2m0s, where the standard is 1m0s and the most 5m0s, because: many tables",
	}
	if got := manifest.Terms(); !slices.Equal(got, want) {
		t.Errorf("terms: %q, want %q", got, want)
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "no-program"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		want    error
	}{
		{"{{.Dir}}/there", nil},
		{"./there", nil},
		{"../" + filepath.Base(dir) + "/there", nil},
		{"./not-there", os.ErrNotExist},
		{"there", os.ErrNotExist},
		{"{{.Dir}}/not-there", os.ErrNotExist},
		{"{{.Dir}}/no-program", os.ErrPermission},
		{"{{.Dir}}/there-{{.Stack}}", os.ErrNotExist},
		{"sh", nil},
		{"no-such-program", os.ErrNotExist},
	} {
		manifest := &impl.Manifest{Name: "x", Start: []string{c.program}, Dir: dir}
		if err := manifest.FindProgram(parameters); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.program, err, c.want)
		}
	}
}

func TestProgramsAreThoseOfEveryCommand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"stack", "launcher"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	manifest := &impl.Manifest{Name: "x", Start: []string{"./stack"}, Launch: []string{"./launcher", "--"}, Claim: []string{"{{.Dir}}/stack", "claim"}, Dir: dir}
	got, err := manifest.Programs()
	if want := []string{filepath.Join(dir, "stack"), filepath.Join(dir, "launcher")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	manifest.Claim[0] = "./claimer"
	if _, err := manifest.Programs(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "claim command of implementation x") {
		t.Errorf("without a claimer: %v", err)
	}
}

func TestReadOfNothing(t *testing.T) {
	if _, err := impl.Read(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}

func TestAProgramThatComesOutEmpty(t *testing.T) {
	manifest, err := impl.Parse("m.yaml", []byte("name: x\nversion: 1\nstart: ['{{.App}}']\n"), "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.StartCommand(parameters); err == nil {
		t.Error("an empty program was accepted")
	}
}
