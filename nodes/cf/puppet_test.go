package cf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// puppetVariable makes the test binary a stack of its own process: its Config as JSON. It does
// what standard input says, a line each, answers with a line each, and ends with its input.
const puppetVariable = "PLEXLAB_CF_TEST_STACK"

// idleVariable makes the test binary a process that waits for the end of its input.
const idleVariable = "PLEXLAB_CF_TEST_IDLE"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(idleVariable) != "":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case os.Getenv(puppetVariable) != "":
		if err := bePuppet(os.Getenv(puppetVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(claimerVariable) != "":
		if err := beClaimer(os.Getenv(claimerVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

func bePuppet(text string) error {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	f, err := Open(c)
	if err != nil {
		return err
	}
	if err := f.Activate(dvipa4); err != nil {
		return err
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		command, argument, _ := strings.Cut(lines.Text(), " ")
		answer, err := obey(f, command, argument)
		if err != nil {
			answer = "error " + err.Error()
		}
		fmt.Println(answer)
	}
	return nil
}

func obey(f *File, command, argument string) (string, error) {
	var n int
	_, _ = fmt.Sscan(argument, &n)
	switch command {
	case "bind": // a port of dvipa4
		port, err := bind(f, dvipa4, uint16(n), Unique)
		return fmt.Sprint(port), err
	case "bind-all":
		return bindAll(f)
	case "release-all":
		var ports []Release
		for _, held := range f.book.of(dvipa4).ports() {
			ports = append(ports, Release{Port: held.Port})
		}
		for {
			freed, err := f.Release(background, dvipa4, ports, nil)
			if !errors.As(err, new(*BusyError)) { // a crowd on few processors
				return fmt.Sprint(len(freed)), err
			}
		}
	case "hold": // the lock of dvipa4's entry
		_, err := f.Claim(background, Request{DVIPA: dvipa4, Port: 0, Use: Unique})
		return "holding", err
	case "beat": // for ever, seeing n members and the outside
		go func() {
			for ticker := time.NewTicker(portfile.BeatInterval); ; <-ticker.C {
				f.Beat(n, true)
			}
		}()
		return "beating", nil
	case "spawn": // a process that outlives this one, without what it has open
		return "spawned", spawn(nil)
	case "inherit": // the same with the descriptors of the port file
		m := f.current.Load()
		return "spawned", spawn([]*os.File{os.NewFile(uintptr(m.fd), "slot"), os.NewFile(uintptr(m.locks.fd), "locks")})
	case "churn":
		fmt.Println("churning")
		return "", churn(f, rand.New(rand.NewPCG(uint64(n), 0)))
	case "history":
		return "done", history(f, rand.New(rand.NewPCG(uint64(n), 1)))
	}
	return "", fmt.Errorf("no command %q", command)
}

func spawn(files []*os.File) error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), idleVariable+"=yes")
	cmd.Stdin, cmd.ExtraFiles = os.Stdin, files
	return cmd.Start()
}

// bindAll binds ports of the pool until there is none left and says which.
func bindAll(f *File) (string, error) {
	var ports []uint16
	for {
		port, err := bind(f, dvipa4, 0, Unique)
		switch {
		case errors.As(err, new(*ExhaustedError)):
			text, err := json.Marshal(ports)
			return string(text), err
		case errors.As(err, new(*BusyError)): // a crowd on few processors
		case err != nil:
			return "", err
		default:
			ports = append(ports, port)
		}
	}
}

// churn changes two entries for ever, by single ports and by many at once.
func churn(f *File, random *rand.Rand) error {
	for {
		dvipa := []netip.Addr{dvipa4, dvipa6}[random.IntN(2)]
		var err error
		switch random.IntN(3) {
		case 0:
			_, err = bind(f, dvipa, uint16(random.IntN(2)*(5000+random.IntN(50))), Unique)
		case 1:
			var ports []Held
			for range random.IntN(100) {
				ports = append(ports, Held{uint16(40000 + random.IntN(1000)), Shared})
			}
			_, err = f.Mark(background, dvipa, f.self.XCF, ports)
		case 2:
			var ports []Release
			for _, held := range f.book.of(dvipa).ports() {
				if random.IntN(2) == 0 {
					ports = append(ports, Release{held.Port, random.IntN(2) == 0})
				}
			}
			_, err = f.Release(background, dvipa, ports, nil)
		}
		if err != nil && !errors.Is(err, unix.EADDRINUSE) && !errors.As(err, new(*BusyError)) {
			return err
		}
	}
}

// puppet is a stack in a process of its own.
type puppet struct {
	*exec.Cmd
	t      testing.TB
	config Config
	input  io.WriteCloser
	output *bufio.Scanner
}

// plainConfig is a Config as text; a puppet has the zero value of what hides a field of it.
type plainConfig struct {
	Config
	InUse struct{} `json:",omitzero"`
}

// newPuppet starts a stack that ends with the test, and waits until it has joined.
func newPuppet(t testing.TB, c Config) *puppet {
	t.Helper()
	text, err := json.Marshal(plainConfig{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	p := &puppet{Cmd: exec.Command("/proc/self/exe"), t: t, config: c}
	p.Env = append(os.Environ(), puppetVariable+"="+string(text))
	p.Stderr = os.Stderr
	if p.input, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.output = bufio.NewScanner(output)
	p.output.Buffer(nil, 1<<20)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.expect("ready")
	return p
}

// kill ends it as nothing that it could notice, and waits until it has ended. Again, it does nothing.
func (p *puppet) kill() {
	if p.ProcessState == nil {
		_ = p.Process.Kill()
		p.input.Close()
		_ = p.Wait()
	}
}

func (p *puppet) signal(s os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// line is the next line it says.
func (p *puppet) line() string {
	p.t.Helper()
	if !p.output.Scan() {
		p.t.Fatalf("%s ended: %v", p.config.Self.Stack, p.output.Err())
	}
	return p.output.Text()
}

func (p *puppet) say(command string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, command+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *puppet) expect(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("%s says %q, want %q", p.config.Self.Stack, got, want)
	}
}

// awaitState waits until its main thread is in a state of proc(5), such as T for stopped.
func (p *puppet) awaitState(state byte) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s in state %c", p.config.Self.Stack, state), func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			p.t.Fatal(err)
		}
		after := strings.LastIndexByte(string(stat), ')')
		return stat[after+2] == state
	})
}

// monotonic is the time that all processes share.
func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
