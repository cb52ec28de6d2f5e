package routing

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// pid is the number of the BIRD that runs, 0 between two.
func (d *Daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil {
		return 0
	}
	return d.process.Pid
}

func TestADaemonThatEndsIsStartedAgain(t *testing.T) {
	t.Parallel()
	lan := newLAN(t, 2)
	stack, router := lan[0], lan[1]
	router.route(RIP)
	log := &record{}
	c := stack.config(RIP)
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	requireBIRD(t)
	var daemon *Daemon
	check(t, stack.do(func() (err error) { daemon, err = Open(c); return err }))
	t.Cleanup(func() { check(t, daemon.Close()) })
	daemon.Advertise(dva4, 1)
	router.awaitWays(&stack, adjacent, host4)

	killed := daemon.pid()
	check(t, unix.Kill(killed, unix.SIGKILL))
	daemon.Advertise(netip.MustParsePrefix("198.51.100.11/24"), 2) // while there is nobody to tell
	router.awaitWays(&stack, adjacent, host4, netip.MustParsePrefix("198.51.100.11/32"))
	if now := daemon.pid(); now == killed || now == 0 {
		t.Errorf("bird: got process %d, want another than %d", now, killed)
	}
	if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "signal: killed") {
		t.Errorf("log: got %s, want an error that says how bird ended", text)
	}
}

func TestBIRDEndsWithItsStack(t *testing.T) {
	t.Parallel()
	requireBIRD(t)
	stack := newLAN(t, 1)[0]
	process := exec.Command("/proc/self/exe", "stack", runDir(t))
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	check(t, err)
	check(t, stack.do(process.Start))
	line, err := bufio.NewReader(output).ReadString('\n')
	check(t, err)
	var pid int
	_, err = fmt.Sscan(line, &pid)
	check(t, err)
	bird, err := unix.PidfdOpen(pid, 0)
	check(t, err)
	defer unix.Close(bird)

	check(t, process.Process.Kill())
	_ = process.Wait()
	// A pidfd is readable once its process has ended.
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(bird), Events: unix.POLLIN}}, 5000)
	if n != 1 || err != nil {
		_ = unix.PidfdSendSignal(bird, unix.SIGKILL, nil, 0)
		t.Errorf("bird %d: still runs 5 s after its stack was killed (%v)", pid, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []Protocol{OSPF, RIP} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			closeLeavesNothing(t, p)
		})
	}
}

func closeLeavesNothing(t *testing.T, p Protocol) {
	t.Helper()
	lan := newLAN(t, 2)
	stack, router := lan[0], lan[1]
	router.route(p)
	daemon := stack.open(p)
	daemon.Advertise(dva4, 1)
	router.awaitWays(&stack, adjacent, host4)
	bird, err := unix.PidfdOpen(daemon.pid(), 0)
	check(t, err)
	defer unix.Close(bird)

	begin := time.Now()
	check(t, daemon.Close())
	took := time.Since(begin)
	t.Logf("closed within %v, route gone from the router after another %v", took, router.awaitWays(nil, converged, host4, mask4))
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(bird), Events: unix.POLLIN}}, 0); n != 1 || err != nil {
		t.Errorf("bird: still runs (%v)", err)
	}
	if _, err := os.Stat(daemon.config.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("run directory: got %v, want none", err)
	}
	rules, err := stack.nl.RuleList(netlink.FAMILY_ALL)
	check(t, err)
	for _, r := range rules {
		if r.Protocol == ruleProtocol {
			t.Errorf("rule left behind: %v", r)
		}
	}
}

func TestWhatAnEarlierProcessLeftGoes(t *testing.T) {
	t.Parallel()
	requireBIRD(t)
	stack := newLAN(t, 1)[0]
	check(t, stack.nl.RuleAdd(rule("ext0", mask4)))
	c := stack.config(OSPF)
	check(t, os.Mkdir(c.Dir, 0o755))
	check(t, os.WriteFile(c.controlPath(), nil, 0o644))
	var daemon *Daemon
	check(t, stack.do(func() (err error) { daemon, err = Open(c); return err }))
	t.Cleanup(func() { check(t, daemon.Close()) })
	rules, err := stack.nl.RuleList(netlink.FAMILY_V4)
	check(t, err)
	for _, r := range rules {
		if r.Protocol == ruleProtocol {
			t.Errorf("rule of an earlier process: %v", r)
		}
	}
}

func TestErrorsOfOpenSayWhatToDo(t *testing.T) {
	t.Parallel()
	requireBIRD(t)
	stack := newLAN(t, 1)[0]
	strange := netlink.NewLinkAttrs()
	strange.Name = `a"b` // which the kernel takes and BIRD's language cannot say
	check(t, stack.nl.LinkAdd(&netlink.Veth{LinkAttrs: strange, PeerName: "peer0"}))
	for _, c := range []struct {
		name  string
		wrong func(*Config)
		want  []string
	}{
		{"not installed", func(c *Config) { c.Program = "no-such-bird" }, []string{"no-such-bird", "bird2"}},
		{"no such interface", func(c *Config) { c.Interfaces = []string{"ext7"} }, []string{`outside interface "ext7"`}},
		{"configuration refused", func(c *Config) { c.Interfaces = []string{strange.Name} }, []string{"bird.conf:6:", "syntax error"}},
		{"no directory", func(c *Config) { c.Dir += "/below/nothing" }, []string{"make run directory"}},
		{"fraction of a second", func(c *Config) { c.Hello = 1500 * time.Millisecond }, []string{"hello interval 1.5s", "whole seconds"}},
		{"dead before hello", func(c *Config) { c.Hello, c.Dead = 5*time.Second, 4*time.Second }, []string{"dead interval 4s", "5s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := stack.config(OSPF)
			c.wrong(&config)
			err := stack.do(func() error {
				_, err := Open(config)
				return err
			})
			for _, word := range c.want {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("error: got %v, want %q in it", err, word)
				}
			}
			if _, err := os.Stat(config.Dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("run directory: got %v, want none", err)
			}
		})
	}
}
