package lab_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/netns"
)

// marker is the variable of the environment by which a witness knows the processes of its lab.
const marker = "LAB_WITNESS"

// A witness sees what a lab consists of and whether all of it is gone. It knows processes by
// a mark in their environment, which they inherit, and asks the kernel for namespaces: an id
// that a namespace has in another one (RTM_NEWNSID) holds nothing, and the kernel removes it
// when the namespace is really taken down.
type witness struct {
	mark      string
	lab       string
	namespace *netns.Namespace
	netlink   *netlink.Handle
	seen      map[netns.ID]bool
}

// newWitness makes a witness of the lab of that name. It takes root.
func newWitness(t *testing.T, name string) *witness {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("looking into all processes takes root")
	}
	w := &witness{mark: fmt.Sprintf("%s=%s-%d", marker, name, time.Now().UnixNano()), lab: name, seen: map[netns.ID]bool{}}
	var err error
	if w.namespace, err = netns.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.namespace.Close() })
	err = w.namespace.Do(func() error {
		w.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.netlink.Close)
	return w
}

// processes are the marked ones, but for the client itself, as directories of /proc.
func (w *witness) processes(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, dir := range all {
		environment, err := os.ReadFile(dir + "/environ")
		if err == nil && bytes.Contains(environment, []byte(w.mark+"\x00")) {
			found = append(found, dir)
		}
	}
	return found
}

// look notes every network namespace that the lab's processes are in or hold. The processes
// should stand still.
func (w *witness) look(t *testing.T) {
	t.Helper()
	home, err := netns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	w.seen[home.ID()] = true
	for _, dir := range w.processes(t) {
		paths := []string{dir + "/ns/net"}
		descriptors, err := filepath.Glob(dir + "/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range descriptors {
			if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, "net:[") {
				paths = append(paths, path)
			}
		}
		for _, path := range paths {
			w.note(t, path)
		}
	}
}

// note gives a namespace an id in the witness's own.
func (w *witness) note(t *testing.T, path string) {
	t.Helper()
	namespace, err := netns.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, netns.ErrOther) || errors.Is(err, unix.ENXIO) {
		return // ended meanwhile, or the descriptor is that of something else (a socket: ENXIO)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	if w.seen[namespace.ID()] {
		return
	}
	w.seen[namespace.ID()] = true
	if err := w.netlink.SetNetNsIdByFd(namespace.FD(), len(w.seen)); err != nil {
		t.Fatalf("note %s: %v", namespace, err)
	}
}

// namespaces counts those that were noted and still exist.
func (w *witness) namespaces(t *testing.T) int {
	t.Helper()
	count := 0
	err := w.namespace.Do(func() error {
		request := nl.NewNetlinkRequest(unix.RTM_GETNSID, unix.NLM_F_DUMP)
		request.AddData(&nl.RtGenMsg{})
		messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNSID)
		count = len(messages)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// left lists in words what is left of the lab.
func (w *witness) left(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, dir := range w.processes(t) {
		command, _ := os.ReadFile(dir + "/cmdline")
		left = append(left, fmt.Sprintf("process %s: %s", filepath.Base(dir), bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
	}
	if count := w.namespaces(t); count > 0 {
		left = append(left, fmt.Sprintf("%d network namespaces, with their links", count))
	}
	mounts, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range mounts {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), " plexlab/"+w.lab+" ") {
			left = append(left, "mount seen in "+path)
		}
	}
	sockets, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sockets), "/"+w.lab+"\n") {
		left = append(left, "abstract socket")
	}
	return left
}

// nothingLeft waits until nothing is left of the lab.
func (w *witness) nothingLeft(t *testing.T) {
	t.Helper()
	var left []string
	await(t, func() bool { left = w.left(t); return len(left) == 0 }, func() string {
		return "left of lab " + w.lab + ":\n  " + strings.Join(left, "\n  ")
	})
}

// await waits until something is so.
func await(t testing.TB, so func() bool, otherwise func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", limit, otherwise())
		}
		<-tick.C
	}
}

// supervisorOf finds the supervisor of a lab that may not be ready, 0 if there is none.
func supervisorOf(t *testing.T, name string) int {
	t.Helper()
	labs, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range labs {
		if found.Name == name {
			return found.Pid
		}
	}
	return 0
}

// sendSignal sends a signal to a process that may have ended.
func sendSignal(t *testing.T, pid int, number unix.Signal) {
	t.Helper()
	if err := unix.Kill(pid, number); err != nil && !errors.Is(err, unix.ESRCH) {
		t.Fatalf("send %s to %s: %v", unix.SignalName(number), strconv.Itoa(pid), err)
	}
}
