package xcf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// processVariable makes the test binary a stack: its Config as JSON. Its namespace is file
// descriptor 3; it prints each event as a line and ends when its input does.
const processVariable = "PLEXLAB_XCF_TEST_STACK"

func beStack(text string) error {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	c.within = (&namespace{file: os.NewFile(3, "namespace")}).within
	c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	var err error
	if c.Pulse, err = pulse.New(); err != nil {
		return err
	}
	g, err := Join(c)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for e := range g.Events() {
		switch e := e.(type) {
		case Joined:
			fmt.Println("joined", e.Member.Stack)
		case Lost:
			fmt.Println("lost", e.Member.Stack, e.Reason)
		default:
			fmt.Printf("%T\n", e)
		}
	}
	return nil
}

// process is a stack in a process of its own.
type process struct {
	*exec.Cmd
	mu    sync.Mutex
	lines []string
}

func newProcess(t testing.TB, s *segment, i int) *process {
	t.Helper()
	text, err := json.Marshal(struct {
		Config
		Excused any // not the function of that name
	}{Config: s.config(i)})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("/proc/self/exe")}
	p.Env = append(os.Environ(), processVariable+"="+string(text))
	p.ExtraFiles = []*os.File{s.stacks[i].file}
	p.Stderr = os.Stderr
	input, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		input.Close()
		_ = p.Process.Signal(unix.SIGCONT)
		<-read
		_ = p.Wait() // after SIGKILL an error, and that is well
	})
	return p
}

func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

func (p *process) count(prefix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, line := range p.lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func TestAKilledProcessIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	one, p := join(t, s.config(0)), newProcess(t, s, 1)
	one.awaitMembers(t, 1)
	eventually(t, "the process sees the other", func() bool { return p.count("joined") == 1 }, p) // and so has nothing unread
	must(t, p.Process.Kill())
	one.awaitEvent(t, Lost{Member: s.config(1).Self, Reason: Ended})
}

// A stack that was stopped for longer than Dead is lost to its partners; when it goes on, it
// must not take their silence, which was its own, for theirs.
func TestAStoppedStackBlamesNobody(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	stopped := newProcess(t, s, 1)
	others := []*stack{join(t, s.config(0)), join(t, s.config(2))}
	for _, one := range others {
		one.awaitMembers(t, 2)
	}
	eventually(t, "the process sees both", func() bool { return stopped.count("joined") == 2 }, stopped)
	must(t, stopped.Process.Signal(unix.SIGSTOP))
	for _, one := range others {
		one.awaitEvent(t, Lost{Member: s.config(1).Self, Reason: Silent})
	}
	must(t, stopped.Process.Signal(unix.SIGCONT))
	for _, one := range others {
		one.awaitMembers(t, 2)
	}
	eventually(t, "the process sees both again", func() bool { return stopped.count("joined") == 4 }, stopped)
	if n := stopped.count("lost"); n != 2 || strings.Contains(stopped.String(), Silent.String()) {
		t.Errorf("the stopped stack lost %d partners, want 2, none for silence:\n%s", n, stopped)
	}
}

// BenchmarkStandingPlex measures what a stack costs that has nothing to do, in percent of one
// core, with the default timers.
func BenchmarkStandingPlex(b *testing.B) {
	for _, n := range []int{5, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSegment(b, ipv4, n)
			processes := make([]*process, n)
			for i := range processes {
				processes[i] = newProcess(b, s, i)
			}
			for _, p := range processes {
				eventually(b, "the plex forms", func() bool { return p.count("joined") == n-1 }, p)
			}
			<-time.After(2 * testDead) // until then they look for more to come
			begin, before := time.Now(), cpuTime(b, processes)
			<-time.After(5 * time.Second)
			used, took := cpuTime(b, processes)-before, time.Since(begin)
			b.ReportMetric(100*used.Seconds()/took.Seconds()/float64(n), "%core/stack")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuTime is what the processes used until now.
func cpuTime(t testing.TB, processes []*process) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, p := range processes {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Process.Pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("no tasks of process %d: %v", p.Process.Pid, err)
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrNotExist) {
				continue
			}
			var on int64
			if _, err := fmt.Sscan(string(text), &on); err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(on)
		}
	}
	return sum
}
