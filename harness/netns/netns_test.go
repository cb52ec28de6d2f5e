package netns_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/netns"
)

// newNamespace creates a namespace or skips the test where the kernel refuses.
func newNamespace(t *testing.T) *netns.Namespace {
	t.Helper()
	namespace, err := netns.New()
	if errors.Is(err, unix.EPERM) {
		t.Skip("creating a network namespace takes CAP_SYS_ADMIN")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := namespace.Close(); err != nil {
			t.Error(err)
		}
	})
	return namespace
}

// here is the namespace of the calling thread.
func here(t *testing.T) netns.ID {
	t.Helper()
	namespace, err := netns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	return namespace.ID()
}

func TestDoRunsInTheNamespaceAndComesBack(t *testing.T) {
	namespace := newNamespace(t)
	before := here(t)
	if namespace.ID() == before {
		t.Fatalf("the new namespace is the old one, %s", before)
	}
	var inside netns.ID
	var links []net.Interface
	err := namespace.Do(func() error {
		current, err := netns.Current()
		if err != nil {
			return err
		}
		defer current.Close()
		inside = current.ID()
		links, err = net.Interfaces()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if inside != namespace.ID() {
		t.Errorf("Do ran in %s, want %s", inside, namespace.ID())
	}
	if len(links) != 1 || links[0].Name != "lo" {
		t.Errorf("links of an empty namespace: %v, want lo alone", links)
	}
	if after := here(t); after != before {
		t.Errorf("after Do the test is in %s, want %s", after, before)
	}
}

func TestDoReturnsTheError(t *testing.T) {
	namespace := newNamespace(t)
	want := errors.New("broken")
	if got := namespace.Do(func() error { return want }); !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDoOfAFunctionThatEndsItsGoroutine(t *testing.T) {
	namespace := newNamespace(t)
	err := namespace.Do(func() error { runtime.Goexit(); return nil })
	if !errors.Is(err, netns.ErrExited) {
		t.Errorf("got %v, want %v", err, netns.ErrExited)
	}
}

func TestDoOfAClosedNamespace(t *testing.T) {
	namespace := newNamespace(t)
	other, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	ran := false
	if err := other.Do(func() error { ran = true; return nil }); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
	if ran {
		t.Error("the function ran although its namespace is closed")
	}
	// The failure has not spoiled anything for others.
	if err := namespace.Do(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestNoThreadIsLost checks what the package promises about the scheduler: whatever threads
// run goroutines after many concurrent Do, each of them is at home.
func TestNoThreadIsLost(t *testing.T) {
	home := here(t)
	a, b := newNamespace(t), newNamespace(t)
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			namespace := a
			if i%2 == 1 {
				namespace = b
			}
			if err := namespace.Do(func() error { return nested(namespace, a) }); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		thread, err := netns.Open("/proc/self/task/" + task.Name() + "/ns/net")
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		if thread.ID() != home {
			t.Errorf("thread %s stayed in %s, home is %s", task.Name(), thread.ID(), home)
		}
		thread.Close()
	}
}

// nested checks that a Do inside a Do leaves the outer one where it is.
func nested(outer, inner *netns.Namespace) error {
	if err := inner.Do(func() error { return nil }); err != nil {
		return err
	}
	current, err := netns.Current()
	if err != nil {
		return err
	}
	defer current.Close()
	if current.ID() != outer.ID() {
		return errors.New("the inner Do moved the outer one to " + current.String())
	}
	return nil
}

func TestOpenOfSomethingElse(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/proc/self/ns/uts", "/proc/self/stat", fifo} {
		if _, err := netns.Open(path); !errors.Is(err, netns.ErrOther) {
			t.Errorf("Open(%s): %v, want %v", path, err, netns.ErrOther)
		}
	}
}

func TestNewStartsFromWhatItsParentSets(t *testing.T) {
	t.Parallel()
	parent := newNamespace(t)
	const forChildren, own = "/proc/sys/net/ipv4/tcp_child_ehash_entries", "/proc/sys/net/ipv4/tcp_ehash_entries"
	err := parent.Do(func() error { return os.WriteFile(forChildren, []byte("1024"), 0) })
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the kernel has no setting tcp_child_ehash_entries")
	}
	if err != nil {
		t.Fatal(err)
	}
	before := here(t)
	child, err := parent.New()
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	if child.ID() == parent.ID() || child.ID() == before {
		t.Errorf("%s is no new namespace", child)
	}
	var entries []byte
	if err := child.Do(func() (err error) { entries, err = os.ReadFile(own); return err }); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(entries)); got != "1024" {
		t.Errorf("the child's table has %s buckets, want 1024", got)
	}
}
