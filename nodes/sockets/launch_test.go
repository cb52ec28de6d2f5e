package sockets

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Nothing has changed after these: the test's own thread could not listen any more.
func TestLaunchErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		launcher Launcher
		want     string
		is       error
	}{
		{"no command", Launcher{}, "no command given", nil},
		{"unknown command", Launcher{Broker: "x", Argv: []string{"no-such-command"}}, `"no-such-command": executable file not found`, exec.ErrNotFound},
		{"not executable", Launcher{Broker: "x", Argv: []string{plain}}, "permission denied", os.ErrPermission},
		{"no broker", Launcher{Broker: filepath.Join(dir, "broker"), Argv: []string{"true"}}, "is the stack running?", os.ErrNotExist},
		{"path too long", Launcher{Broker: "/" + strings.Repeat("x", 108), Argv: []string{"true"}}, "1 to 107", unix.EINVAL},
		{"name too long", Launcher{Broker: "x", Application: strings.Repeat("x", MaxApplicationName+1), Argv: []string{"true"}}, "at most 64", nil},
		{"name with a blank", Launcher{Broker: "x", Application: "APP A", Argv: []string{"true"}}, "printable ASCII", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.launcher.Launch()
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %q (%v)", err, test.want, test.is)
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen after launches that failed: %v", err)
	}
	l.Close()
}

func TestExitCodeIsTheApplications(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	cmd := exec.Command("/proc/self/exe", "exit", "42")
	cmd.Env = append(os.Environ(), puppetEnv+"=1", brokerEnv+"="+b.path)
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("got %v, want exit code 42", err)
	}
}

// One application cannot be under two brokers.
func TestLaunchWithinALaunch(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	if got := app.do("launch %s", b.path); !strings.Contains(got, "already under a broker") {
		t.Errorf("got %s, want: already under a broker", got)
	}
}

func TestBrokerRefuses(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	for _, test := range []struct {
		name    string
		message string
		fds     []int
		want    string
	}{
		{"another protocol", "GET / HTTP/1.1\r\n\r\n", nil, "not a launcher"},
		{"no descriptor", helloMagic + "APPA", nil, "without a descriptor"},
		{"another descriptor", helloMagic + "APPA", []int{0}, "without a descriptor"},
		{"two descriptors", helloMagic + "APPA", []int{0, 0}, "without a descriptor"},
		{"bad name", helloMagic + "APP A", nil, "printable ASCII"},
		{"hang up", "", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.path, Net: "unixpacket"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if test.message == "" {
				return
			}
			if _, _, err := conn.WriteMsgUnix([]byte(test.message), unix.UnixRights(test.fds...), nil); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, maxMessage)
			n, err := conn.Read(answer)
			if err != nil || !strings.Contains(string(answer[:n]), test.want) {
				t.Errorf("got %q, %v, want %q", answer[:n], err, test.want)
			}
		})
	}
	startPuppet(t, b, nil).ok("storm 127.0.0.1:0 1") // it still serves
}

func TestBrokerSocket(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	info, err := os.Stat(b.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: got %v, %v, want mode 0600", info.Mode(), err)
	}
	if _, err := NewBroker(BrokerConfig{Path: b.path, Handler: &recorder{}}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("second broker: got %v, want EADDRINUSE", err)
	}
	b.stop(t)
	if _, err := os.Stat(b.path); !os.IsNotExist(err) {
		t.Errorf("socket after the end: got %v, want it gone", err)
	}

	stale := filepath.Join(t.TempDir(), "stale")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: stale, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	broker, err := NewBroker(BrokerConfig{Path: stale, Handler: &recorder{}})
	if err != nil {
		t.Fatalf("broker where a dead one left its socket: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := broker.Serve(ctx); err != nil {
		t.Error(err)
	}
}

// The broker may bind what the application may not.
func TestPrivilegedPorts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		attr    *syscall.SysProcAttr
		prepare string
		port    int
		start   string // ip_unprivileged_port_start, if not the default
		decide  uint16 // port that the handler binds instead
		want    string
	}{
		{"with the capability", nil, "", 80, "", 0, "ok"},
		{"without", nil, "powerless", 80, "", 0, "EACCES"},
		{"last privileged port", nil, "powerless", 1023, "", 0, "EACCES"},
		{"first other port", nil, "powerless", 1024, "", 0, "ok"},
		{"any port", nil, "powerless", 0, "", 0, "ok"},
		{"fewer privileged ports", nil, "powerless", 80, "80", 0, "ok"},
		{"handler chooses a privileged port", nil, "powerless", 0, "", 80, "EACCES"},
		{"capability in another user namespace", &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		}, "", 80, "", 0, "EACCES"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{bind: func(_ context.Context, r BindRequest, perform func(netip.AddrPort) error) error {
				if test.decide != 0 {
					return perform(netip.AddrPortFrom(r.Address.Addr(), test.decide))
				}
				return perform(r.Address)
			}})
			if test.start != "" {
				if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte(test.start), 0); err != nil {
					t.Fatal(err)
				}
			}
			bare, brokered := startPuppet(t, nil, test.attr), startPuppet(t, b, test.attr)
			for _, p := range []*process{bare, brokered} {
				if test.prepare != "" {
					p.ok("%s", test.prepare)
				}
				p.ok("socket s tcp4")
			}
			if test.decide == 0 {
				if kernel := bare.do("bind s 127.0.0.1:%d", test.port); kernel != test.want {
					t.Fatalf("without a broker: got %s, want %s", kernel, test.want)
				}
				bare.kill()
			}
			if got := brokered.do("bind s 127.0.0.1:%d", test.port); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
