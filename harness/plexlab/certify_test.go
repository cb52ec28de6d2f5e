package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// kit is a directory of suites whose ginkgo is a script, and a manifest.
type kit struct{ suites, manifest, key, out string }

func newKit(t *testing.T, script, manifest string) *kit {
	t.Helper()
	dir := t.TempDir()
	k := &kit{filepath.Join(dir, "suites"), filepath.Join(dir, "theirs.yaml"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "out")}
	if err := os.Mkdir(k.suites, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"suites/ginkgo": "#!/bin/sh\n" + script, "suites/version": version, "suites/fig12.test": "",
		"theirs.yaml": "name: theirs\nversion: 1\nstart: ['true']\n" + manifest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *kit) certify(t *testing.T, more ...string) (status int, out, errors string) {
	t.Helper()
	args := []string{"certify", "--implementation", k.manifest, "--suites", k.suites, "--key", k.key, "-o", k.out}
	status, out, errors = invoke(t, append(args, more...)...)
	needsLaboratories(t, status, errors)
	return status, out, errors
}

const (
	core       = "capabilities: [core]\n"
	everything = "capabilities: [core, clusterports, takeover, ipv6, advertising, outbound, selection]\n"
)

func TestWhatCannotBeCertified(t *testing.T) {
	for _, test := range []struct {
		name, manifest string
		args           []string
		status         int
		says           string
	}{
		{"no capability", "", nil, exitUsage, "declares no capability"},
		{"a profile that is none", core, []string{"--profile", "flight"}, exitUsage, `profile "flight": expected one of`},
		{"a profile that is not declared", core, []string{"--profile", "core,takeover"}, exitUsage, "theirs does not declare takeover"},
		{"no profile", core, []string{"--profile", ""}, exitUsage, "--profile names none"},
		{"IPv6 alone", everything, []string{"--profile", "ipv6"}, exitUsage, "profile ipv6 is certified together with core; add core to --profile"},
		{"cluster-wide ports alone", everything, []string{"--profile", "clusterports"}, exitUsage, "add core to --profile"},
		{"backup alone", everything, []string{"--profile", "backup"}, exitUsage, "add core to --profile"},
		{"takeover alone", everything, []string{"--profile", "takeover"}, exitUsage, "add core to --profile"},
		{"advertising alone", everything, []string{"--profile", "advertising"}, exitUsage, "add core,backup,takeover to --profile"},
		{"selection with core", everything, []string{"--profile", "core,selection"}, exitUsage, "add backup,takeover to --profile"},
		{"outbound with core", everything, []string{"--profile", "core,outbound"}, exitUsage, "add clusterports to --profile"},
		{"outbound declared with core", "capabilities: [core, outbound]\n", nil, exitUsage, "certified together with core,clusterports, and theirs does not declare clusterports"},
		{"ports declared alone", "capabilities: [clusterports]\n", nil, exitUsage, "theirs does not declare core"},
		{"a focus that is no expression", core, []string{"--focus", "("}, exitUsage, "--focus: error parsing regexp: missing closing )"},
		{"a suite that is none", core, []string{"--only", "fig99"}, exitUsage, "there is no suite fig99; there are fig12"},
		{"no run at all", core, []string{"--repeat", "0"}, exitUsage, "--repeat and --procs must be above zero"},
		{"time without a reason", core + "ready_timeout: 2m\n", nil, exitUsage, "declare a deviation from tolerance ready"},
		{
			"an interpretation that is none", core + "deviations: [{interpretation: I99, reason: r}]\n", nil, exitUsage,
			"there is no such interpretation",
		},
		{"suites that are not built", core, []string{"--suites", "/nowhere"}, exitMissing, "run: make build suites"},
		{"a manifest that is none", core + "flight: yes\n", nil, exitUsage, "theirs.yaml:5:1"},
		{"files of which there are none", core + "files: ['*.py']\n", nil, exitUsage, `files "*.py" of implementation theirs: there is none`},
		{"a launcher that is not there", core + "launch: [./launcher]\n", nil, exitUsage, "launcher: no such file or directory; build it first"},
		{"a directory in use", core, []string{"-o", "/etc"}, exitUsage, "a certificate has a directory of its own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, out, errors := newKit(t, "exit 0", test.manifest).certify(t, test.args...)
			if status != test.status || !strings.Contains(errors, test.says) || strings.Count(errors, "\n") != 1 || out != "" {
				t.Errorf("want %d and one line that says %q, got %d, %q, %q", test.status, test.says, status, errors, out)
			}
		})
	}
	if status, _, errors := invoke(t, "certify"); status != exitUsage && !strings.Contains(errors, "output") {
		t.Errorf("without a directory: %d, %s", status, errors)
	}
}

func TestSuitesOfAnotherBuild(t *testing.T) {
	k := newKit(t, "exit 0", core)
	if err := os.WriteFile(filepath.Join(k.suites, "version"), []byte("0.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	status, _, errors := k.certify(t)
	if status != exitUsage || !strings.Contains(errors, "the suites are of 0.9, this program is of "+version) {
		t.Errorf("got %d, %s", status, errors)
	}
}

// A suite that leaves nothing is a fault of the kit: neither a failure of the implementation nor a pass.
func TestCertifyAndVerify(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want         certificate.Outcome
		says         string
	}{
		{"the suite ends at once", "exit 1", certificate.EngineError, "suite fig12 left no report"},
		{"the suite leaves half a report", `echo '[{' >$PLEXLAB_RESULTS/suites/fig12.json`, certificate.EngineError, "suite fig12"},
		{"nothing ran", `
cat >$PLEXLAB_RESULTS/suites/fig12.json <<END
[{"SuiteSucceeded": true, "StartTime": "2001-08-20T12:00:00Z", "EndTime": "2001-08-20T12:00:00Z", "SpecReports": []}]
END
echo '[]' >$PLEXLAB_RESULTS/requirements.json
mkdir -p $PLEXLAB_RESULTS/tolerances
cat >$PLEXLAB_RESULTS/tolerances/fig12.json <<END
` + standardTolerances() + `
END
`, certificate.NothingRun, "no spec passed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKit(t, test.script, core)
			status, out, errors := k.certify(t)
			if status != test.want.Code || !strings.Contains(out, test.says) || !strings.Contains(out, test.want.Name+": "+test.want.Meaning) {
				t.Errorf("want %d and %q, got %d:\n%s%s", test.want.Code, test.says, status, out, errors)
			}
			if !strings.Contains(errors, "made a key for you: "+k.key) || !strings.Contains(errors, "suite 1 of 1, fig12: no spec") {
				t.Errorf("what goes on is told: %s", errors)
			}
			if status, out, errors := invoke(t, "verify", k.out, "--key", k.key); status != test.want.Code || !strings.Contains(out, "verified: signed with key") {
				t.Errorf("verify: want %d, got %d, %s%s", test.want.Code, status, out, errors)
			}
			if status, out, _ := invoke(t, "verify", k.out); status != test.want.Code || !strings.Contains(out, "name the certifier's key") {
				t.Errorf("verify without a key: %d, %s", status, out)
			}
		})
	}
}

// A certificate says of which files the implementation was that it speaks of.
func TestACertificateNamesWhatWasCertified(t *testing.T) {
	k := newKit(t, "exit 1", core+"launch: [./suites/ginkgo]\nclaim: ['true', claim]\nfiles: [suites/fig12.*]\n")
	if status, _, errors := k.certify(t); status != certificate.EngineError.Code {
		t.Fatalf("certify: %d, %s", status, errors)
	}
	text, err := os.ReadFile(filepath.Join(k.out, certificate.EnvelopeFile))
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Payload []byte }
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(envelope.Payload, &statement); err != nil {
		t.Fatal(err)
	}
	const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	var names []string
	for _, s := range statement.Subject {
		names = append(names, s.Name)
		if s.Name == "suites/fig12.test" && s.Digest["sha256"] != nothing {
			t.Errorf("%s is empty: %v", s.Name, s.Digest)
		}
	}
	if want := []string{certificate.ManifestFile, "true", "ginkgo", "suites/fig12.test"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func standardTolerances() string {
	return `{"limit":3000000000,"ready":10000000000,"noticed":500000000,"refused":1000000000,"emptied":5000000000,` +
		`"given-back":30000000000,"stalled":500000000,"quiet":150000000,"held":2000000000}`
}

func TestVerifySaysWhyByItsStatus(t *testing.T) {
	k := newKit(t, "exit 1", core)
	if status, _, _ := k.certify(t); status != report.EngineError.Code {
		t.Fatalf("certify: %d", status)
	}
	other := filepath.Join(t.TempDir(), "other.pem")
	if _, _, err := certificate.SigningKey(other); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(k.out, "run-1", "report.json")
	for _, test := range []struct {
		name   string
		change func() error
		args   []string
		want   int
		says   string
	}{
		{"another key", func() error { return nil }, []string{"verify", k.out, "--key", other}, certificate.WrongKey.Code, "refused, it is signed with another key"},
		{"a key that is none", func() error { return nil }, []string{"verify", k.out, "--key", k.manifest}, exitUsage, "read key"},
		{"no certificate", func() error { return nil }, []string{"verify", k.suites}, exitNotFound, "holds no certificate"},
		{"a changed byte", func() error { return os.Truncate(log, 10) }, []string{"verify", k.out}, certificate.Changed.Code, "refused, evidence was changed"},
		{"a file that is gone", func() error { return os.Remove(log) }, []string{"verify", k.out}, certificate.Misplaced.Code, "refused, evidence is missing"},
	} {
		if err := test.change(); err != nil {
			t.Fatal(err)
		}
		status, out, errors := invoke(t, test.args...)
		if status != test.want || !strings.Contains(errors, test.says) || out != "" {
			t.Errorf("%s: want %d and %q, got %d, %q, %q", test.name, test.want, test.says, status, errors, out)
		}
	}
}

// A disk that is full while suites run is none of the implementation's business. The small file system
// that shows it is mounted in a mount namespace of its own.
func TestTheDiskOfTheEvidenceIsFull(t *testing.T) {
	const inside = "PLEXLAB_SMALL_DISK"
	if os.Getenv(inside) == "" {
		if os.Getuid() != 0 {
			t.Skip("mounts a small file system, which takes root")
		}
		again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), inside+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		if text, err := again.CombinedOutput(); err != nil || !strings.Contains(string(text), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, text)
		}
		return
	}
	k := newKit(t, "head -c 10000000 /dev/zero >$PLEXLAB_RESULTS/evidence.pcapng; exit 1", core)
	if err := os.Mkdir(k.out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", k.out, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(k.out, 0) })
	status, out, errors := k.certify(t)
	if status != exitMissing || !strings.Contains(errors, "no space left on device") || out != "" {
		t.Errorf("want %d, got %d, %q, %q", exitMissing, status, errors, out)
	}
}
