package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

// output runs a process to its end and returns what it has written.
func output(t *testing.T, l *lab.Lab, node string, spec lab.ExecSpec) (string, lab.Exited) {
	t.Helper()
	process, err := l.Start(bounded(t), node, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	exited, err := process.Wait(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := process.Output()
	if err != nil {
		t.Fatal(err)
	}
	return text, exited
}

func TestExec(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, node string
		spec       lab.ExecSpec
		want       string
		exited     lab.Exited
	}{
		{"output and error", "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "echo one; echo two >&2"}}, "one\ntwo\n", lab.Exited{}},
		{"exit status", "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", "exit 7"}}, "", lab.Exited{Code: 7}},
		{"signal", "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", "kill -ABRT $$"}}, "", lab.Exited{Code: -1, Signal: unix.SIGABRT}},
		{"environment", "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "echo $COLOUR"}, Env: []string{"COLOUR=red"}}, "red\n", lab.Exited{}},
		{"directory", "MVS1", lab.ExecSpec{Argv: []string{"pwd"}, Dir: dir}, dir + "\n", lab.Exited{}},
		{"the caller's directory", "MVS1", lab.ExecSpec{Argv: []string{"pwd"}}, here + "\n", lab.Exited{}},
		{"through the launcher", "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "echo $APPLICATION"}, Application: "APPB"}, "APPB\n", lab.Exited{}},
		{"no launcher on a host", "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", "echo x$APPLICATION"}, Application: "APPB"}, "x\n", lab.Exited{}},
		{"the lab's processes alone", "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "readlink /proc/1/exe | wc -l; test $PPID = 1"}}, "1\n", lab.Exited{}},
	} {
		got, exited := output(t, l, c.node, c.spec)
		if got != c.want || exited != c.exited {
			t.Errorf("%s: %q, %s; want %q, %s", c.name, got, exited, c.want, c.exited)
		}
	}
}

// TestNothingInALabKnowsTheKitsSettings: neither what runs in it nor the supervisor, whose environment a stack may read, has a
// variable of the kit; all others are there.
func TestNothingInALabKnowsTheKitsSettings(t *testing.T) {
	t.Setenv("PLEXLAB_RESULTS", "/results")
	t.Setenv("COLOUR", "red")
	l := up(t, sysplex(1), lab.Options{})
	script := `grep -lz ^PLEXLAB /proc/[0-9]*/environ; grep -lz ^COLOUR=red /proc/[0-9]*/environ | sed 's,[0-9][0-9]*,N,' | sort -u`
	if got, _ := output(t, l, "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", script}}); got != "/proc/N/environ\n" {
		t.Errorf("got %q, want that only the variable of others is found", got)
	}
}

func TestExecWithFiles(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	input, inputEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outputEnd, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	process, err := l.Start(bounded(t), "MVS1", lab.ExecSpec{Argv: []string{"tr", "a-z", "A-Z"}, Stdin: input, Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	input.Close()
	out.Close()
	if _, err := io.WriteString(inputEnd, "listen\n"); err != nil {
		t.Fatal(err)
	}
	inputEnd.Close()
	// The end of the output comes only if nobody else holds the other end.
	text, err := io.ReadAll(outputEnd)
	if err != nil || string(text) != "LISTEN\n" {
		t.Errorf("got %q, %v", text, err)
	}
	outputEnd.Close()
	if exited, err := process.Wait(bounded(t)); err != nil || !exited.Success() {
		t.Errorf("%s, %v", exited, err)
	}
}

func TestExecIsHeldByItsClient(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	start := func() *lab.Process {
		process, err := l.Start(bounded(t), "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", "sleep 1000 & wait"}})
		if err != nil {
			t.Fatal(err)
		}
		return process
	}
	sleeping := func() int {
		text, _ := output(t, l, "ROUTER", lab.ExecSpec{Argv: []string{"sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"}})
		return strings.Count(text, "sleep 1000 sleep") + strings.Count(text, "wait sleep 1000")
	}
	signalled := start()
	if err := signalled.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exited, err := signalled.Wait(bounded(t)); err != nil || exited.Signal != unix.SIGTERM {
		t.Errorf("signal: %s, %v", exited, err)
	}
	if err := signalled.Signal(unix.SIGTERM); err != nil {
		t.Errorf("signal to a process that has ended: %v", err)
	}
	signalled.Close()

	start().Close()
	await(t, func() bool { return sleeping() == 0 }, func() string { return "the process outlives Close" })

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Exec(ctx, "CLIENT", lab.ExecSpec{Argv: []string{"sleep", "1000"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec beyond its context: %v", err)
	}
	await(t, func() bool { return sleeping() == 0 }, func() string { return "the process outlives its context" })
}

func TestExecLeavesTheBackground(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	pid, exited := output(t, l, "CLIENT", lab.ExecSpec{Argv: []string{"sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"}})
	if !exited.Success() {
		t.Fatal(exited)
	}
	if text, exited := output(t, l, "CLIENT", lab.ExecSpec{Argv: []string{"kill", strings.TrimSpace(pid)}}); !exited.Success() {
		t.Errorf("the process in the background is gone: %s", text)
	}
}

func TestExecOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	for _, c := range []struct {
		name, node string
		spec       lab.ExecSpec
		want       error
	}{
		{"no node", "MVS9", lab.ExecSpec{Argv: []string{"true"}}, unix.ENOENT},
		{"no command", "MVS1", lab.ExecSpec{}, unix.EINVAL},
		{"no program", "MVS1", lab.ExecSpec{Argv: []string{"no-such-program"}}, unix.ENOENT},
		{"no program at its path", "MVS1", lab.ExecSpec{Argv: []string{"/no/such/program"}}, unix.ENOENT},
		{"no directory", "MVS1", lab.ExecSpec{Argv: []string{"true"}, Dir: "/no/such"}, unix.ENOENT},
		{"not a program", "MVS1", lab.ExecSpec{Argv: []string{"/etc/passwd"}}, unix.EACCES},
	} {
		if _, err := l.Exec(bounded(t), c.node, c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// TestReaping lets orphans and children of the supervisor end together: each end must reach
// the one who waits for it, and no zombie stays.
func TestReaping(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	var group errgroup.Group
	for i := range 40 {
		group.Go(func() error {
			if _, err := l.Exec(bounded(t), "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", "(sh -c 'exit 3' &) ; (true &)"}}); err != nil {
				return err
			}
			exited, err := l.Exec(bounded(t), "MVS1", lab.ExecSpec{Argv: []string{"sh", "-c", fmt.Sprintf("exit %d", i)}})
			if err == nil && exited.Code != i {
				err = fmt.Errorf("exit status %d came back as %s", i, exited)
			}
			return err
		})
	}
	if exited, err := l.Exec(bounded(t), "CLIENT", lab.ExecSpec{Argv: []string{"/proc/self/exe", "orphans"}}); err != nil || !exited.Success() {
		t.Errorf("orphans: %s, %v", exited, err)
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	var zombies []string
	await(t, func() bool { zombies = zombiesOf(t, l.Pid()); return len(zombies) == 0 }, func() string { return fmt.Sprint("zombies: ", zombies) })
}

// zombiesOf lists the children of a process that nobody has waited for.
func zombiesOf(t *testing.T, parent int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var zombies []string
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		if bytes.HasPrefix(rest, fmt.Appendf(nil, "Z %d ", parent)) {
			zombies = append(zombies, string(stat))
		}
	}
	return zombies
}

// TestNoDescriptorIsLost uses everything that passes files, often. It is not parallel, since
// it counts this process's own descriptors too.
func TestNoDescriptorIsLost(t *testing.T) {
	l := up(t, sysplex(1), lab.Options{})
	use := func() {
		ctx := bounded(t)
		if _, err := l.Exec(ctx, "MVS1", lab.ExecSpec{Argv: []string{"true"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Exec(ctx, "MVS1", lab.ExecSpec{Argv: []string{"no-such-program"}, Stdin: os.Stdin}); err == nil {
			t.Fatal("a program that is not there has run")
		}
		socket, err := l.Packet(ctx, "MVS1", "xcf0")
		if err != nil {
			t.Fatal(err)
		}
		socket.Close()
		if _, err := l.Packet(ctx, "MVS1", "eth0"); !errors.Is(err, unix.ENODEV) {
			t.Fatalf("packet socket of a link that is not there: %v", err)
		}
		if exchange(t, l, "CLIENT", "MVS1", address("203.0.0.1:80")) != "hello" {
			t.Fatal("no exchange")
		}
		for _, follow := range []bool{false, true} {
			log, err := l.Logs(ctx, "MVS1", "", follow)
			if err != nil {
				t.Fatal(err)
			}
			log.Close()
		}
		client := l.Control("MVS1")
		if _, err := client.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	descriptors := func() int {
		count := 0
		for _, pid := range []int{os.Getpid(), l.Pid()} {
			files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			if err != nil {
				t.Fatal(err)
			}
			count += len(files)
		}
		return count
	}
	use() // what is opened once and kept
	before := descriptors()
	for range 10 {
		use()
	}
	await(t, func() bool { return descriptors() <= before }, func() string {
		return fmt.Sprintf("%d descriptors became %d", before, descriptors())
	})
}

func TestPacketSocketSeesFrames(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	frames, err := l.Packet(bounded(t), "ROUTER", "ext0")
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	if err := frames.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	sender, err := l.Dial(bounded(t), "CLIENT", "udp", nowhere, address("203.0.0.1:7"))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	if _, err := sender.Write([]byte("can you see me")); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 2048)
	for {
		read, err := frames.Read(frame)
		if err != nil {
			t.Fatalf("the datagram did not pass: %v", err)
		}
		if bytes.Contains(frame[:read], []byte("can you see me")) {
			break
		}
	}
}

func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	l := up(t, sysplex(1), lab.Options{})
	if _, err := l.Listen(bounded(t), "CLIENT", "tcp", address("203.0.0.1:80")); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("listen at an address of another node: %v", err)
	}
	if _, err := l.Dial(bounded(t), "CLIENT", "tcp", nowhere, address("203.0.0.1:9")); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to a port without a listener: %v", err)
	}
	if _, err := l.Dial(bounded(t), "CLIENT", "tcp", address("198.51.100.9:1234"), address("203.0.0.1:9")); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect from an address and port: %v", err)
	}
	var unknown net.UnknownNetworkError
	for _, network := range []string{"sctp", "tcp6", ""} {
		if _, err := l.Dial(bounded(t), "CLIENT", network, nowhere, address("203.0.0.1:9")); !errors.As(err, &unknown) {
			t.Errorf("network %q: %v", network, err)
		}
	}
}
