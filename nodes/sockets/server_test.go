package sockets

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Servers as they come, started through the launcher: their listening sockets are told when
// they start and when they end.
func TestUnmodifiedServers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		listens int
		argv    func(dir string) []string
	}{
		{"python3", 1, func(dir string) []string {
			return []string{"python3", "-m", "http.server", "--bind", "127.7.0.1", "--directory", dir, "7001"}
		}},
		{"nginx", 2, func(dir string) []string {
			return []string{"nginx", "-p", dir, "-e", "stderr", "-c", writeNginxConfig(t, dir)}
		}},
		{"iperf3", 1, func(string) []string { return []string{"iperf3", "-s", "-1", "-B", "127.7.0.1", "-p", "7001"} }},
		{"haproxy", 1, func(dir string) []string { return []string{"haproxy", "-db", "-f", writeHAProxyConfig(t, dir)} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			argv := test.argv(t.TempDir())
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skipf("%s is not installed: make setup", argv[0])
			}
			enterNetNS(t)
			m := startMonitor(t, MonitorConfig{})
			b := startBroker(t, &recorder{listening: func(ctx context.Context, s Socket) {
				if err := m.Listening(ctx, s); err != nil {
					t.Error(err)
				}
			}})
			server := launchServer(t, b, argv)
			eventually(t, "server listens", func() bool { return len(m.listeners127()) == test.listens })
			for _, s := range m.listeners127() {
				if s.Application != "APPA" {
					t.Errorf("socket %v is of application %q, want APPA", s, s.Application)
				}
			}
			connect(t, clientAt, serverAt).close()
			if err := server.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the end of every socket", func() bool {
				for _, s := range m.listeners127() {
					if !m.ended(s.Cookie) {
						return false
					}
				}
				return true
			})
		})
	}
}

// listeners127 are the sockets told to listen on the server's address.
func (m *testMonitor) listeners127() (all []Socket) {
	for _, e := range m.all() {
		if s, ok := e.(ListenStarted); ok && s.Socket.Local.Addr() == serverAt.Addr() {
			all = append(all, s.Socket)
		}
	}
	return all
}

// launchServer starts a command under the broker, by way of the test binary as launcher.
func launchServer(t *testing.T, b *testBroker, argv []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", argv...)
	cmd.Env = append(os.Environ(), puppetEnv+"=1", brokerEnv+"="+b.path, nameEnv+"=APPA", commandEnv+"=1")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			t.Log(strings.TrimSpace(lines.Text()))
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-logged
		cmd.Wait()
	})
	return cmd
}

// writeNginxConfig makes nginx listen twice, with two workers that inherit the sockets. Its
// workers stay root: the user namespace of an unprivileged test has no other user.
func writeNginxConfig(t *testing.T, dir string) string {
	return writeConfig(t, dir, fmt.Sprintf(`
user root;
daemon off;
worker_processes 2;
pid %[1]s/pid;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server { listen 127.7.0.1:7001; listen 127.7.0.1:80; return 200 "ok"; }
}
`, dir))
}

func writeHAProxyConfig(t *testing.T, dir string) string {
	return writeConfig(t, dir, `
defaults
	mode tcp
	timeout connect 1s
	timeout client 1s
	timeout server 1s
frontend f
	bind 127.7.0.1:7001
	default_backend b
backend b
	server s 127.0.0.1:9
`)
}

func writeConfig(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The other tests again as a user without any privilege, in a user namespace of its own.
func TestUnprivileged(t *testing.T) {
	if os.Getenv(usernsEnv) != "" {
		t.Skip("this process is the run without privileges that this test starts")
	}
	const nobody = 65534
	binary := filepath.Join(t.TempDir(), "sockets.test")
	copyForEveryone(t, binary)
	home := filepath.Join(filepath.Dir(binary), "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run="+strings.Join([]string{
		"TestListenIsReported", "TestListenEnded", "TestRemnants", "TestOverflow", "TestPrivilegedPorts", "TestUnmodified/nginx",
		"TestWaysAround", "TestConnect", "TestHandlerDecides", "TestFailedConnect", "TestSocketClosed", "TestPortsInUse", "TestAttempt",
	}, "|"))
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		if unprivileged, _ := os.ReadFile("/proc/sys/kernel/unprivileged_userns_clone"); strings.TrimSpace(string(unprivileged)) == "0" {
			t.Skip("kernel lets nobody make user namespaces (kernel.unprivileged_userns_clone)")
		}
		t.Errorf("%v\n%s", err, out)
	}
}

// copyForEveryone copies the test binary to where other users may run it.
func copyForEveryone(t *testing.T, to string) {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(to); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What a launched application waits for a call, beside what the kernel alone takes: median and
// 99th percentile in microseconds. The handler names the port of a bind(), as one that assigns
// ports does.
func BenchmarkCalls(b *testing.B) {
	for _, call := range []string{"bind", "listen", "connect"} {
		for _, name := range []string{"kernel", "broker"} {
			b.Run(call+"/"+name, func(b *testing.B) {
				enterNetNS(b)
				var broker *testBroker
				if name == "broker" {
					port := uint16(1024)
					broker = startBroker(b, &recorder{bind: func(_ context.Context, r BindRequest, perform func(netip.AddrPort) error) error {
						port = max(port+1, 1024)
						return perform(netip.AddrPortFrom(r.Address.Addr(), port))
					}})
				}
				var p50, p99 float64
				if _, err := fmt.Sscan(startPuppet(b, broker, nil).ok("measure %s %d", call, max(b.N, 100)), &p50, &p99); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(p50/1000, "p50-µs")
				b.ReportMetric(p99/1000, "p99-µs")
			})
		}
	}
}

// One look at listening sockets, and one sweep, of a namespace with n of them.
func BenchmarkDump(b *testing.B) {
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprintf("listening/%d", n), func(b *testing.B) {
			enterNetNS(b)
			for i := range n {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { unix.Close(fd) })
				at := netip.AddrPortFrom(serverAt.Addr(), uint16(10000+i))
				if err := unix.Bind(fd, unixAddress(at)); err != nil {
					b.Fatal(err)
				}
				if err := unix.Listen(fd, 1); err != nil {
					b.Fatal(err)
				}
			}
			benchmarkDump(b, listening)
		})
	}
	b.Run("connections/0", func(b *testing.B) {
		enterNetNS(b)
		benchmarkDump(b, synchronized)
	})
}

// What the monitor costs a server of short connections.
func BenchmarkShortConnections(b *testing.B) {
	for _, monitored := range []bool{false, true} {
		b.Run(fmt.Sprintf("monitored=%v", monitored), func(b *testing.B) {
			enterNetNS(b)
			if monitored {
				startMonitor(b, MonitorConfig{})
			}
			churn(b, b.N)
		})
	}
}

func benchmarkDump(b *testing.B, in states) {
	d := openDiag(b)
	for b.Loop() {
		if err := d.dump(in, func(diagSocket) {}); err != nil {
			b.Fatal(err)
		}
	}
}
