package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// favour has the threads of the process run ahead of all that is not real-time, if it may (CAP_SYS_NICE, which a
// user namespace does not give); threads that are made later inherit it, and so does a routing
// daemon. It uses little of a processor, but where it waits for one longer than a lease
// lasts, its DVIPAs are not answered for and its partners take it for frozen. Nice values would not do: they
// count within one session (sched(7), autogroup).
func favour() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	lowest := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &lowest, 0); err != nil {
			return os.NewSyscallError("sched_setattr", err)
		}
	}
	return nil
}
