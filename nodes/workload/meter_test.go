package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// procfs is a directory in the form of procfs.
type procfs struct {
	t   *testing.T
	dir string
}

func newProcfs(t *testing.T) procfs {
	p := procfs{t, t.TempDir()}
	p.write("uptime", "1 1\n")
	p.process("self", "net:[1]", 0, 0)
	return p
}

func (p procfs) write(name, text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// process makes one that has used so many ticks, half of them in the kernel.
func (p procfs) process(pid, namespace string, start, used int) {
	p.t.Helper()
	p.end(pid)
	p.write(pid+"/stat", fmt.Sprintf("%s (a) b)) S 1 1 1 0 -1 4194560 1 2 3 4 %d %d 5000 6000 20 0 1 0 %d 1 1\n", pid, used/2, used-used/2, start))
	if err := os.MkdirAll(filepath.Join(p.dir, pid, "ns"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(namespace, filepath.Join(p.dir, pid, "ns/net")); err != nil {
		p.t.Fatal(err)
	}
}

func (p procfs) end(pid string) {
	p.t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, pid)); err != nil {
		p.t.Fatal(err)
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	p := newProcfs(t)
	m, err := newMeter(p.dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	now := begin
	measure := func(what string, want uint32) {
		t.Helper()
		capacity, load, err := m.Measure(now)
		if err != nil || capacity != 2000 || load != want {
			t.Errorf("%s: capacity %d, load %d, error %v; want 2000 and %d", what, capacity, load, err, want)
		}
		now = now.Add(time.Second)
	}
	p.process("10", "net:[1]", 1, 1000)
	p.process("11", "net:[2]", 1, 1000)
	measure("at first", 0)
	p.process("10", "net:[1]", 1, 1050)
	p.process("11", "net:[2]", 1, 1100)
	measure("half a processor here, one elsewhere", 500)
	p.process("12", "net:[1]", 77, 25)
	measure("a new process", 250)
	p.process("10", "net:[1]", 99, 30)
	measure("its number comes again", 300)
	p.end("10")
	measure("one ended", 0)
	now = now.Add(time.Second)
	p.process("12", "net:[1]", 77, 125)
	measure("over two seconds", 500)
	p.process("12", "net:[1]", 77, 9999)
	measure("more than there is", 2000)
	p.process("11", "net:[1]", 1, 1200)
	for range lookAgain {
		measure("one that moved here is not charged for its past", 0)
	}
	p.process("11", "net:[1]", 1, 1210)
	measure("but for what it does from then on", 100)
	p.write("12/task/12/schedstat", "77 250000000 3\n")
	p.write("12/task/120/schedstat", "77 500000000 3\n")
	measure("threads that wait", 750)
	p.write("12/task/12/schedstat", "77\n")
	p.end("12/task/120")
	measure("threads that ended, or cannot be read", 0)
	p.write("13/stat", "13 (x) S 1")
	measure("a process that cannot be read", 0)
}

func TestMeterOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := newMeter(t.TempDir(), 1); err == nil || !strings.Contains(err.Error(), "network namespace") {
		t.Errorf("got %v, want that the namespace cannot be read", err)
	}
	p := newProcfs(t)
	m, err := newMeter(p.dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	p.t, p.dir = t, filepath.Dir(p.dir)
	if err := os.RemoveAll(m.proc); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Measure(begin); err == nil {
		t.Error("measured without procfs")
	}
}

// The real thing: this process, which works until it shows.
func TestMeterOfThisProcess(t *testing.T) {
	t.Parallel()
	m, err := NewMeter()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, _, err := m.Measure(start); err != nil {
		t.Fatal(err)
	}
	before, ok := m.look(os.Getpid())
	if !ok {
		t.Fatalf("this process, %d, is not seen", os.Getpid())
	}
	for after := before; after.used < before.used+5; {
		if time.Since(start) > 10*time.Second {
			t.Fatal("no processor time was charged within 10 s")
		}
		for i := range 1 << 20 {
			_ = strconv.Itoa(i)
		}
		after, _ = m.look(os.Getpid())
	}
	capacity, load, err := m.Measure(time.Now())
	if err != nil || load == 0 || load > capacity {
		t.Errorf("load %d of %d, error %v", load, capacity, err)
	}
}
