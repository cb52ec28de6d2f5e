// Package calm lets programs in Go sleep that wake often and do little, as stacks and laboratories do.
package calm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"
)

// slack is how late the runtime's monitor thread may wake. While anything runs it wakes each 20 us, to see
// whether another thread is wanted because a system call takes long; the tables of a routing stack change in such
// calls, many times a second, for which nobody has to wait so much less than a millisecond. Of the time of a laboratory's
// supervisor, an eighth went into that.
const slack = time.Millisecond

// Monitor lets it, so that the kernel wakes it along with something else. Without CAP_SYS_NICE over the user
// namespace the thread goes on as it is.
func Monitor() error {
	thread, err := MonitorThread()
	if err != nil {
		return fmt.Errorf("find the runtime's monitor thread: %w", err)
	}
	nanoseconds := strconv.FormatInt(int64(slack), 10)
	if err := os.WriteFile(slackOf(thread), []byte(nanoseconds), 0); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("let the runtime's monitor thread wake late: %w", err)
	}
	return nil
}

// slackOf is the file of a thread's timer slack, in nanoseconds (proc_pid_timerslack_ns(5)).
func slackOf(thread int) string { return fmt.Sprintf("/proc/%d/timerslack_ns", thread) }

// MonitorThread is the first that the runtime starts (runtime.main).
func MonitorThread() (int, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	// As /proc numbers it, which may be that of another PID namespace.
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return 0, err
	}
	var others []int
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return 0, err
		}
		if thread.Name() != self {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return 0, errors.New("there is none beside the main thread")
	}
	return slices.Min(others), nil
}
