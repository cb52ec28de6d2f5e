package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/netns"
)

// An entry of /proc that stands for a process of this PID namespace. Where /proc is that of
// outside, its number there is not the one to send signals to.
type entry struct {
	dir string // /proc/NUMBER
	pid int    // in this PID namespace
}

// processes lists the processes of this PID namespace that match, except this one.
func processes(match func(dir string) bool) ([]entry, error) {
	depth, err := pidDepth()
	if err != nil {
		return nil, err
	}
	own, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return nil, fmt.Errorf("identify the PID namespace: %w", err)
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []entry
	for _, name := range names {
		dir := filepath.Join("/proc", name.Name())
		if _, err := strconv.Atoi(name.Name()); err != nil || !match(dir) {
			continue
		}
		numbers, err := pidNumbers(dir)
		if err != nil || len(numbers) <= depth || numbers[depth] == os.Getpid() {
			continue // ended meanwhile, or of a PID namespace above this one, or this process
		}
		// Deeper ones, of a PID namespace below this one, are reached by their number here.
		if len(numbers) == depth+1 {
			if theirs, err := os.Stat(dir + "/ns/pid"); err != nil || !os.SameFile(own, theirs) {
				continue
			}
		}
		found = append(found, entry{dir: dir, pid: numbers[depth]})
	}
	return found, nil
}

// pidDepth is the place of this PID namespace's numbers in NSpid: 0 where /proc is its own.
func pidDepth() (int, error) {
	numbers, err := pidNumbers("/proc/self")
	if err != nil {
		return 0, fmt.Errorf("find this process in /proc: %w", err)
	}
	return len(numbers) - 1, nil
}

// pidNumbers reads NSpid: the numbers of a process in nested PID namespaces, the outermost first.
func pidNumbers(dir string) ([]int, error) {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		var numbers []int
		for _, field := range strings.Fields(rest) {
			number, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("NSpid of %s: %w", dir, err)
			}
			numbers = append(numbers, number)
		}
		return numbers, nil
	}
	return nil, fmt.Errorf("no NSpid in %s/status", dir)
}

// inNamespace matches processes of a network namespace, by its identity.
func inNamespace(id netns.ID) func(dir string) bool {
	return func(dir string) bool {
		var stat unix.Stat_t
		// A zombie has no namespace any more and needs no signal.
		return unix.Stat(dir+"/ns/net", &stat) == nil && netns.ID{Device: stat.Dev, Inode: stat.Ino} == id
	}
}

// endTimeout bounds how long killInside and awaitStopped wait for the kernel.
const endTimeout = 2 * time.Second

// killInside kills every process in a network namespace and returns when none is left. It
// looks again until it finds none, since a process may have forked meanwhile.
func killInside(id netns.ID) error {
	err := poll(endTimeout, func() (bool, error) {
		left, err := processes(inNamespace(id))
		for _, process := range left {
			if err := unix.Kill(process.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return false, fmt.Errorf("kill process %d: %w", process.pid, err)
			}
		}
		return len(left) == 0, err
	})
	if err != nil {
		return fmt.Errorf("end the processes in %s: %w", id, err)
	}
	return nil
}

// awaitStopped returns when every thread of the process group's leader is stopped.
func awaitStopped(pid int) error {
	err := poll(endTimeout, func() (bool, error) {
		found, err := processes(func(dir string) bool {
			numbers, err := pidNumbers(dir)
			return err == nil && numbers[len(numbers)-1] == pid
		})
		if err != nil || len(found) == 0 {
			return len(found) == 0, err
		}
		threads, err := filepath.Glob(found[0].dir + "/task/*/stat")
		for _, thread := range threads {
			if state, err := threadState(thread); err == nil && state != 'T' && state != 'Z' && state != 'X' {
				return false, nil
			}
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	return nil
}

// threadState is the letter behind the program's name in a stat file (proc_pid_stat(5)).
func threadState(path string) (byte, error) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	end := strings.LastIndex(string(stat), ") ")
	if end < 0 || end+2 >= len(stat) {
		return 0, fmt.Errorf("no state in %s", path)
	}
	return stat[end+2], nil
}

// poll asks again and again until done, an error, or the timeout.
func poll(timeout time.Duration, ask func() (done bool, err error)) error {
	deadline := time.Now().Add(timeout)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ask()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not done after %s: %w", timeout, os.ErrDeadlineExceeded)
		}
		<-tick.C
	}
}
