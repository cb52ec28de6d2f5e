package workload

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tick is the unit of processor times in /proc (USER_HZ, include/asm-generic/param.h).
	tick = 10 * time.Millisecond
	// lookAgain is how many measurements pass before processes of other namespaces are looked at
	// again: a process rarely moves, and in a plex of many most belong to others.
	lookAgain = 10
)

// Meter measures the load of the system that it is opened in. It is not safe for concurrent use.
type Meter struct {
	proc      string // where procfs is mounted
	capacity  uint32
	namespace string // the link of the network namespace, such as "net:[4026531840]"

	at     time.Time // of the last measurement; zero before the first
	rounds int
	own    map[int]process
	others map[int]bool
}

// process is one process of the system.
type process struct {
	start  uint64        // in ticks since boot: a number that comes again is another process
	used   time.Duration // in user and kernel mode
	waited time.Duration // of the threads that there are, for a processor
}

// since is what a process asked of processors since it was as before. What a thread that ended has
// waited for is not known any more.
func (p process) since(before process) time.Duration {
	return max(0, p.used-before.used) + max(0, p.waited-before.waited)
}

// NewMeter opens a meter of the network namespace that the caller is in. It reads procfs and needs no
// privilege beyond seeing the processes: those of other users count where the caller may trace them
// (ptrace(2)).
func NewMeter() (*Meter, error) { return newMeter("/proc", runtime.NumCPU()) }

func newMeter(proc string, processors int) (*Meter, error) {
	namespace, err := os.Readlink(filepath.Join(proc, "self/ns/net"))
	if err != nil {
		return nil, fmt.Errorf("measure load: own network namespace: %w", err)
	}
	return &Meter{
		proc: proc, capacity: uint32(processors) * 1000, namespace: namespace,
		own: make(map[int]process), others: make(map[int]bool),
	}, nil
}

// Measure returns the processors of the system in thousandths, and how many of them its processes
// asked for on average since the measurement before: used, or waited for, so that a busy system shows also where
// others use the same processors. It is 0 at first, and at most capacity. A process that began and ended between two
// measurements is not seen; waiting is not where the kernel has no statistics of it (CONFIG_SCHED_INFO). An error is that /proc cannot be read.
func (m *Meter) Measure(now time.Time) (capacity, load uint32, err error) {
	pids, err := m.processes()
	if err != nil {
		return m.capacity, 0, fmt.Errorf("measure load: %w", err)
	}
	strangers := m.others
	if m.rounds++; m.rounds%lookAgain == 0 {
		m.others = make(map[int]bool, len(strangers))
	}
	living := make(map[int]process, len(m.own))
	var asked time.Duration
	for _, pid := range pids {
		if m.others[pid] {
			continue
		}
		p, ok := m.look(pid)
		if !ok {
			m.others[pid] = true
			continue
		}
		living[pid] = p
		switch before, known := m.own[pid]; {
		case known && before.start == p.start:
			asked += p.since(before)
		case !strangers[pid]: // it began since then
			asked += p.since(process{})
		}
	}
	first := m.at.IsZero()
	elapsed := now.Sub(m.at)
	m.own, m.at = living, now
	if first || elapsed <= 0 {
		return m.capacity, 0, nil
	}
	average := asked * 1000 / elapsed
	return m.capacity, uint32(min(average, time.Duration(m.capacity))), nil
}

// processes are those that procfs shows.
func (m *Meter) processes() ([]int, error) {
	dir, err := os.Open(m.proc)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// look reads a process; it is false for one of another system, and for one that has ended.
func (m *Meter) look(pid int) (process, bool) {
	dir := filepath.Join(m.proc, strconv.Itoa(pid))
	namespace, err := os.Readlink(filepath.Join(dir, "ns/net"))
	if err != nil || namespace != m.namespace {
		return process{}, false
	}
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, false
	}
	p, err := parseStat(text)
	p.waited = waited(filepath.Join(dir, "task"))
	return p, err == nil
}

// waited sums up what the threads of a process have waited for a processor.
func waited(tasks string) (sum time.Duration) {
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return 0 // it has ended
	}
	for _, thread := range threads {
		// Nanoseconds on a processor, and waiting for one (Documentation/scheduler/sched-stats.rst).
		text, err := os.ReadFile(filepath.Join(tasks, thread.Name(), "schedstat"))
		fields := bytes.Fields(text)
		if err != nil || len(fields) < 2 {
			continue
		}
		if waiting, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
			sum += time.Duration(waiting)
		}
	}
	return sum
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)): the name, field 2, may contain anything.
func parseStat(text []byte) (process, error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const third, utime, stime, starttime = 3, 14 - 3, 15 - 3, 22 - 3
	if len(fields) <= starttime {
		return process{}, fmt.Errorf("stat has %d fields, want %d or more: %w", len(fields)+third-1, starttime+third, unix.EPROTO)
	}
	user, err1 := strconv.ParseUint(string(fields[utime]), 10, 64)
	system, err2 := strconv.ParseUint(string(fields[stime]), 10, 64)
	start, err3 := strconv.ParseUint(string(fields[starttime]), 10, 64)
	return process{start: start, used: time.Duration(user+system) * tick}, errors.Join(err1, err2, err3)
}
