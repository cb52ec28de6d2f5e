package lab_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

// nobody is an ordinary user without a name or rights.
const nobody = 65534

// asNobody is this binary run as nobody, from a place that this user can read.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root; as an ordinary user every other test is rootless already")
	}
	dir, err := os.MkdirTemp("", "plexlab-rootless-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "lab.test")
	if err := copyFile("/proc/self/exe", program); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, args...)
	command.Dir = "/"
	command.Env = append(os.Environ(), "HOME=/", "TMPDIR=/tmp", "GOCOVERDIR=")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return command
}

// copyFile copies a program.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	// A process that is forked meanwhile would have the copy open for writing, and nobody could run it (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// rootlessTests are run once more as an ordinary user: connections, sockets, launchers, faults,
// the end of stacks.
const rootlessTests = "TestNodesReachEachOther|TestApplications|TestCuts|TestLinkDownAndUp|TestFreezeAndThaw|" +
	"TestAStackIsItsProcess|TestExec$|TestReaping|TestPacketSocketSeesFrames|TestPlansAndKeys|TestNameTaken"

func TestRootless(t *testing.T) {
	t.Parallel()
	text, err := asNobody(t, "-test.v", "-test.run", "^("+rootlessTests+")").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if passed, want := strings.Count(string(text), "\n--- PASS: "), strings.Count(rootlessTests, "|")+1; passed != want {
		t.Errorf("%d tests passed, want %d:\n%s", passed, want, text)
	}
}

// TestRootReachesTheLabsOfOthers lets root work with an ordinary user's lab, and nobody with
// root's.
func TestRootReachesTheLabsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWitness(t, labName(t))
	command := asNobody(t, "client", w.lab, "tied", "")
	c := startCommand(t, w, command, killPlan())
	c.awaitLine(t, "up")
	w.look(t)
	l, err := lab.Attach(w.lab)
	if err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, l, "CLIENT", "MVS2", address("203.0.0.2:81")); got != "hello" {
		t.Errorf("got %q", got)
	}
	ofRoot := up(t, sysplex(1), lab.Options{Name: w.lab}) // a name is taken for its own user only
	labs, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, found := range labs {
		if found.Name != w.lab {
			continue
		}
		same++
		one, err := found.Attach()
		if err != nil {
			t.Fatal(err)
		}
		if one.Pid() != found.Pid {
			t.Errorf("attached to process %d for lab %+v", one.Pid(), found)
		}
		one.Close()
	}
	if same != 2 {
		t.Errorf("%d labs of the name are listed, want 2", same)
	}
	if err := ofRoot.Down(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.Down(bounded(t)); err != nil {
		t.Fatal(err)
	}
	c.input.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("client: %v", err)
	}
	w.nothingLeft(t)

	ours := up(t, sysplex(1), lab.Options{})
	text, err := asNobody(t, "attach", ours.Name()).CombinedOutput()
	if err == nil || !strings.Contains(string(text), "belongs to another user") {
		t.Errorf("nobody attaches to root's lab: %v, %s", err, text)
	}
}

// TestHiddenProc builds a lab where parts of /proc are hidden, as containers do it, so that the
// kernel refuses a fresh one.
func TestHiddenProc(t *testing.T) {
	t.Parallel()
	command := asNobody(t, "-test.v", "-test.run", "^(TestNodesReachEachOther|TestFreezeAndThaw|TestAStackIsItsProcess|TestLimits)$")
	// A shell in a mount namespace of its own hides something and then becomes nobody.
	script := `mount -t tmpfs none /proc/sys/fs && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`
	shell := exec.Command("sh", append([]string{"-c", script, "sh"}, command.Args...)...)
	shell.Dir, shell.Env = command.Dir, append(command.Env, "PLEXLAB_HIDDEN_PROC=1")
	shell.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	text, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if passed := strings.Count(string(text), "\n--- PASS: "); passed != 4 {
		t.Errorf("%d tests passed, want 4:\n%s", passed, text)
	}
}

// TestLimits checks that a lab says what it had to leave out.
func TestLimits(t *testing.T) {
	l := up(t, sysplex(1), lab.Options{})
	status, err := l.Status(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	hidden := os.Getenv("PLEXLAB_HIDDEN_PROC") != ""
	if said := strings.Contains(strings.Join(status.Limits, "\n"), "/proc"); said != hidden {
		t.Errorf("limits %q, want /proc among them: %t", status.Limits, hidden)
	}
}

// TestRefused builds a lab where the kernel allows no user namespace, and wants to hear which
// setting it is.
func TestRefused(t *testing.T) {
	t.Parallel()
	command := asNobody(t, "client", labName(t), "tied", "")
	// The setting is changed in a user namespace of this test's own, which has a nobody too.
	script := `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`
	shell := exec.Command("sh", append([]string{"-c", script, "sh"}, command.Args...)...)
	shell.Dir, shell.Env = command.Dir, command.Env
	shell.Stdin = strings.NewReader("{\"name\":\"PLEX1\"}\n")
	identity := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1 << 16}}
	shell.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: identity, GidMappings: identity, GidMappingsEnableSetgroups: true,
	}
	text, err := shell.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "sysctl user.max_user_namespaces=15000") {
		t.Errorf("got %v: %s", err, text)
	}
}
