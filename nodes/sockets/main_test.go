package sockets

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// usernsEnv is set in the run of the tests that an unprivileged user started in a user
// namespace of its own.
const usernsEnv = "SOCKETS_TEST_USERNS"

// patience is the longest that a test waits for a state; nothing takes that long.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(puppetEnv) != "" {
		runPuppet()
	}
	if os.Geteuid() != 0 {
		os.Exit(inUserNamespace())
	}
	os.Exit(m.Run())
}

// inUserNamespace runs the same tests as root of a new user namespace.
func inUserNamespace() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), usernsEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		fmt.Println("tests in a user namespace:", err)
		return 1
	}
	return 0
}

// enterNetNS moves the test, and every process that it starts, to a network namespace of its
// own with a loopback interface. The thread ends with the test, and the namespace with it.
func enterNetNS(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatalf("set lo up: %v", err)
	}
}

// process is a running puppet.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startPuppet starts one; under a broker if that is not nil.
func startPuppet(t testing.TB, b *testBroker, attr *syscall.SysProcAttr) *process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), puppetEnv+"=1")
	if b != nil {
		cmd.Env = append(cmd.Env, brokerEnv+"="+b.path, nameEnv+"=APPA")
	}
	cmd.SysProcAttr = attr
	p := &process{t: t, cmd: cmd}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	p.out = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// do carries out one command and returns its answer.
func (p *process) do(format string, args ...any) string {
	p.t.Helper()
	command := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		p.t.Fatalf("%s: %v", command, err)
	}
	if !p.out.Scan() {
		p.t.Fatalf("%s: no answer: %v", command, p.out.Err())
	}
	return p.out.Text()
}

// ok carries out a command that must succeed and returns its value.
func (p *process) ok(format string, args ...any) string {
	p.t.Helper()
	answer := p.do(format, args...)
	value, ok := strings.CutPrefix(answer, "ok")
	if !ok {
		p.t.Fatalf(format+": got %s, want ok", append(args, answer)...)
	}
	return strings.TrimSpace(value)
}

// kill ends the process by SIGKILL and waits for it.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); !killed(err) {
		p.t.Fatalf("kill: %v", err)
	}
}

// testBroker is a running broker; what its handler saw is in the recorder.
type testBroker struct {
	*recorder
	path   string
	cancel context.CancelFunc
	done   chan error
}

func startBroker(t testing.TB, r *recorder) *testBroker {
	t.Helper()
	dir, err := os.MkdirTemp("", "broker") // t.TempDir is too long for a Unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &testBroker{recorder: r, path: filepath.Join(dir, "broker"), done: make(chan error, 1)}
	broker, err := NewBroker(BrokerConfig{Path: b.path, Handler: r, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(context.Background())
	go func() { b.done <- broker.Serve(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop ends the broker; a second time does nothing.
func (b *testBroker) stop(t testing.TB) {
	t.Helper()
	b.cancel()
	select {
	case err := <-b.done:
		if err != nil {
			t.Errorf("broker: %v", err)
		}
		b.done <- nil
	case <-time.After(patience):
		t.Errorf("broker still serves %v after its context ended", patience)
	}
}

// recorder is a Handler that writes down what it is asked.
type recorder struct {
	// bind, connect and listening, if not nil, decide instead of letting pass.
	bind      func(context.Context, BindRequest, func(netip.AddrPort) error) error
	connect   func(context.Context, ConnectRequest, func(netip.AddrPort) error) error
	listening func(context.Context, Socket)

	mu       sync.Mutex
	binds    []BindRequest
	bound    []netip.AddrPort
	connects []ConnectRequest
	listens  []Socket
}

func (r *recorder) Bind(ctx context.Context, request BindRequest, perform func(netip.AddrPort) (netip.AddrPort, error)) error {
	r.mu.Lock()
	r.binds = append(r.binds, request)
	r.mu.Unlock()
	decide := r.bind
	if decide == nil {
		decide = func(_ context.Context, request BindRequest, perform func(netip.AddrPort) error) error {
			return perform(request.Address)
		}
	}
	return decide(ctx, request, func(to netip.AddrPort) error {
		local, err := perform(to)
		if err == nil {
			r.mu.Lock()
			r.bound = append(r.bound, local)
			r.mu.Unlock()
		}
		return err
	})
}

func (r *recorder) Connect(ctx context.Context, request ConnectRequest, bind func(netip.AddrPort) (netip.AddrPort, error)) error {
	r.mu.Lock()
	r.connects = append(r.connects, request)
	r.mu.Unlock()
	if r.connect != nil {
		return r.connect(ctx, request, func(to netip.AddrPort) error {
			_, err := bind(to)
			return err
		})
	}
	return nil
}

func (r *recorder) Listening(ctx context.Context, s Socket) {
	if r.listening != nil {
		r.listening(ctx, s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listens = append(r.listens, s)
}

// taken returns what was recorded since the last call.
func (r *recorder) taken() (binds []BindRequest, listens []Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	binds, listens = r.binds, r.listens
	r.binds, r.listens = nil, nil
	return binds, listens
}

// asked returns the connects recorded since the last call.
func (r *recorder) asked() (connects []ConnectRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	connects, r.connects = r.connects, nil
	return connects
}

// testLog writes to the test's log as long as the test runs.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
