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
	err := awaitNone(endTimeout, inNamespace(id), func(left []entry) error {
		for _, process := range left {
			if err := unix.Kill(process.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", process.pid, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the processes in %s: %w", id, err)
	}
	return nil
}

// awaitNone returns when no process matches any more. What is left is handed to end each time
// before its end is waited for.
func awaitNone(timeout time.Duration, match func(dir string) bool, end func(left []entry) error) error {
	deadline := time.Now().Add(timeout)
	for {
		left, err := processes(match)
		if err != nil || len(left) == 0 {
			return err
		}
		if err := end(left); err != nil {
			return err
		}
		for _, process := range left {
			if err := process.awaitEnd(deadline); err != nil {
				return err
			}
		}
	}
}

// awaitEnd returns when the process has ended, or with an error at the deadline.
func (e entry) awaitEnd(deadline time.Time) error {
	descriptor, err := unix.PidfdOpen(e.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", e.pid, err)
	}
	defer unix.Close(descriptor)
	for {
		ready := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
		left := max(time.Until(deadline), 0).Round(time.Millisecond)
		switch n, err := unix.Poll(ready, int(left/time.Millisecond)); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for process %d: %w", e.pid, err)
		case n > 0:
			return nil
		case !time.Now().Before(deadline):
			return fmt.Errorf("process %d has not ended: %w", e.pid, os.ErrDeadlineExceeded)
		}
	}
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
		tasks := filepath.Join(found[0].dir, "task")
		threads, err := os.ReadDir(tasks)
		for _, thread := range threads {
			if state, err := threadState(filepath.Join(tasks, thread.Name(), "stat")); err == nil && state != 'T' && state != 'Z' && state != 'X' {
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
	next := newPace()
	for {
		done, err := ask()
		if done || err != nil {
			return err
		}
		if time.Since(next.begun) > timeout {
			return fmt.Errorf("not done after %s: %w", timeout, os.ErrDeadlineExceeded)
		}
		<-next.look()
	}
}

// A pace says when to look again for what comes by itself. The longer it has taken, the longer
// it may go unseen: an eighth of that time, 1 ms at least and 20 ms at most; of what takes seconds, as neighbours of a routing
// protocol do, a thirty-second, and 100 ms at most.
type pace struct{ begun time.Time }

func newPace() pace { return pace{begun: time.Now()} }

// look is due when it is time to look again.
func (p pace) look() <-chan time.Time {
	return time.After(pause(time.Since(p.begun)))
}

// pause is how long what has taken so long may go unseen.
func pause(took time.Duration) time.Duration {
	const (
		least, most = 2 * time.Millisecond, 20 * time.Millisecond
		mostOfAll   = 100 * time.Millisecond
	)
	return max(least, min(took/6, most), min(took/32, mostOfAll))
}
