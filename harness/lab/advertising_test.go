package lab_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// requirePrograms skips a test that needs programs of `make setup`.
func requirePrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: make setup", name)
		}
	}
}

// reference is the reference implementation, built for this test.
func reference(t *testing.T) *impl.Manifest {
	t.Helper()
	manifest, err := impl.Read("../../fixtures/implementations/reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "stackd")
	if text, err := exec.Command("go", "build", "-o", program, "../../nodes/stackd").CombinedOutput(); err != nil {
		t.Fatalf("build stackd: %v\n%s", err, text)
	}
	manifest.Start[0], manifest.Launch[0] = program, program
	return manifest
}

// figure9 is the plan of Figure 9 with DVIPAs that lie in no network, and one application.
func figure9(t *testing.T, method string) *topo.Plan {
	t.Helper()
	file := "../../fixtures/topologies/figure9-ospf.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	topology, err := topo.Parse(file, []byte(strings.Replace(string(text), "method: ospf", "method: "+method, 1)))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return &plan
}

// TestRoutersFollowTheRoutingProtocol: the client reaches a DVIPA that lies in no network at all, as soon as the lab
// is ready (T14, Figure 10, block 104), and the router's table says who is there.
func TestRoutersFollowTheRoutingProtocol(t *testing.T) {
	requirePrograms(t, "bird", "birdc", "nginx", "curl")
	manifest := reference(t)
	for _, method := range []string{topo.ByOSPF, topo.ByRIP} {
		t.Run(method, func(t *testing.T) {
			l := up(t, figure9(t, method), lab.Options{Implementation: manifest, Progress: func(s lab.Step) {
				if s.Kind == lab.StepRoutes {
					t.Logf("%s: %s after another %v", method, s.Detail, s.Took.Round(time.Millisecond))
				}
			}})
			for _, url := range []string{"http://198.51.100.10:60/", "http://198.51.100.11:60/"} {
				got, exited := output(t, l, "CLIENT", lab.ExecSpec{Argv: []string{"curl", "--silent", "--max-time", "2", url}})
				if !exited.Success() || !strings.HasPrefix(got, "APP") {
					t.Errorf("%s: %s, %q", url, exited, got)
				}
			}

			fault(t, "kill", l.Kill(bounded(t), "MVS1"))
			awaitRoute(t, l, "198.51.100.10", "192.168.44.105", "killed") // MVS5 backs it up
			awaitRoute(t, l, "198.51.100.0/24", "192.168.44.105", "killed, the prefix")
			fault(t, "start", l.StartStack(bounded(t), "MVS1"))
			awaitRoute(t, l, "198.51.100.10", "192.168.44.101", "started again")
			aDaemonIsStartedAgain(t, l)
		})
	}
}

// aDaemonIsStartedAgain: the lab keeps the outside world going, and its log says what happened.
func aDaemonIsStartedAgain(t *testing.T, l *lab.Lab) {
	t.Helper()
	const birdc = "birdc -s /dev/shm/nodes/ROUTER/bird.ctl "
	if got, exited := output(t, l, "ROUTER", shell(birdc+"down")); !exited.Success() {
		t.Fatalf("end the daemon: %s, %q", exited, got)
	}
	var got string
	await(t, func() bool {
		got, _ = output(t, l, "ROUTER", shell(birdc+"show route 198.51.100.10/32"))
		return strings.Contains(got, "via 192.168.44.101")
	}, func() string { return fmt.Sprintf("the new daemon says %q, want the route by MVS1", got) })
	for node, want := range map[string][]string{
		"ROUTER": {"Shutdown completed", "Started"},
		"":       {"bird has ended and is started again", "router=ROUTER"},
		"MVS1":   {"bird: Reconfigured"},
	} {
		log, err := l.Logs(bounded(t), node, "", false)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(log)
		log.Close()
		for _, words := range want {
			if err != nil || !strings.Contains(string(text), words) {
				t.Errorf("log of %q: %v, %s\nwant %q in it", node, err, text, words)
			}
		}
	}
}

func shell(command string) lab.ExecSpec { return lab.ExecSpec{Argv: []string{"sh", "-c", command}} }

func fault(t *testing.T, verb string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
}

// awaitRoute waits until the kernel of ROUTER sends what is for exactly a destination by a gateway, and tells how
// long that took.
func awaitRoute(t *testing.T, l *lab.Lab, to, by, since string) {
	t.Helper()
	begin := time.Now()
	var got string
	await(t, func() bool {
		got, _ = output(t, l, "ROUTER", lab.ExecSpec{Argv: []string{"ip", "route", "show", "exact", to}})
		return strings.Contains(got, "via "+by+" ")
	}, func() string { return fmt.Sprintf("route to %s: %q, want one by %q", to, got, by) })
	t.Logf("%s: route to %s by %q after %v", since, to, by, time.Since(begin).Round(time.Millisecond))
}
