package sockets

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// enough is the processor time, in clock ticks of 10 ms, after which a thread that was let go
// into connect() is taken to have left it. The kernel's part of a connect() is done in well under
// a millisecond of it; all the rest is waiting, which costs none.
const enough = 100

// An attempt is a thread that the broker lets go into connect(). What becomes of the connection
// cannot be read from the socket alone: one that the kernel has not begun to connect, because the
// thread has not got a processor yet or is stopped, looks like one that has failed.
//
// So a connection that the kernel does not know has failed only if the thread has left the call
// before the kernel is asked. The kernel enters the connection into its tables within the call,
// before it returns by any way, a signal included; so after that, not to find it means that it
// has ended. These show that the thread has left the call:
//   - it is gone, or its number belongs to another (by the time that it started);
//   - it waits somewhere, and not within connect() (/proc/TID/syscall). While it waits for the
//     broker that file tells of connect(), and while it is runnable, of nothing;
//   - it has used far more processor time than connect() takes. This is for threads that are
//     never met waiting.
//
// A thread that is met in a later connect() each time is taken to be in the first one, until
// its processor time says otherwise, or the end of the socket.
type attempt struct {
	tid     int
	started uint64 // in clock ticks since boot
	used    uint64 // processor time when it was let go, in clock ticks
}

// beginAttempt must be called while the thread waits for the broker.
func beginAttempt(tid int) (*attempt, error) {
	started, used, err := threadClock(tid)
	if err != nil {
		return nil, err
	}
	return &attempt{tid: tid, started: started, used: used}, nil
}

// over reports whether the thread has certainly left its connect().
func (a *attempt) over() bool {
	started, used, err := threadClock(a.tid)
	if err != nil || started != a.started || used >= a.used+enough {
		return true
	}
	call, err := os.ReadFile("/proc/" + strconv.Itoa(a.tid) + "/syscall")
	if err != nil {
		return false // out of reach by now; if it has ended, the next look sees that
	}
	// "running", or the number of the call (-1: none), its arguments and more.
	number, err := strconv.Atoi(string(bytes.TrimSpace(firstField(call))))
	return err == nil && number != unix.SYS_CONNECT
}

func firstField(b []byte) []byte {
	field, _, _ := bytes.Cut(b, []byte(" "))
	return field
}

// threadClock reads from /proc/TID/stat when a thread started and how much processor time it
// has used, in clock ticks.
func threadClock(tid int) (started, used uint64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read clock of thread %d: %w", tid, err)
	}
	// The name of the program, in parentheses, may hold anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const user, system, start = 11, 12, 19 // fields 14, 15 and 22 of proc_pid_stat(5)
	if len(fields) <= start {
		return 0, 0, fmt.Errorf("clock of thread %d: %d fields: %w", tid, len(fields), errShort)
	}
	for _, field := range []struct {
		at int
		to *uint64
	}{{user, &used}, {system, &used}, {start, &started}} {
		n, err := strconv.ParseUint(string(fields[field.at]), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("clock of thread %d: %w", tid, err)
		}
		*field.to += n
	}
	return started, used, nil
}
