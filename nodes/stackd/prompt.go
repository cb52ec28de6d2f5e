package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/calm"
)

const (
	// realTime is the least priority of real-time threads (sched(7)): before all that have none.
	realTime = 1
	// leastNice is that of threads which get the most (sched(7)).
	leastNice = -20
	// slice is how long a thread of the stack runs at a time if others want to. Of those that wake the kernel runs
	// the one first that asks for the shortest (EEVDF, from Linux 6.12 on; 0.1 ms is the least that there is),
	// unless it has run for more than its share.
	slice = 100 * time.Microsecond
)

// bePrompt has all threads of the process, those that they start, and BIRD, run as soon as they have something to do:
// it is little, but if it is done late on a busy machine, leases of DVIPAs end and others take the stack for lost. With
// CAP_SYS_NICE in the first user namespace, which root has, they are real-time; without it they have a
// short slice, of which older kernels take no notice. The runtime's monitor thread is not real-time, as it would have no
// timer slack then (package calm); it gets the most of what others want too, since all wait for it where one waits
// for the kernel.
func bePrompt() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	monitor, err := calm.MonitorThread()
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		ask := beRealTime
		if id == monitor {
			ask = beFavoured
		}
		if err := ask(id); err != nil {
			return fmt.Errorf("ask the scheduler to be prompt: %w", err)
		}
	}
	return nil
}

// beRealTime is takeShortSlice for a thread that may not be real-time.
func beRealTime(thread int) error {
	err := unix.SchedSetAttr(thread, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: realTime,
	}, 0)
	if errors.Is(err, unix.EPERM) {
		return takeShortSlice(thread)
	}
	return err
}

// beFavoured is takeShortSlice for a thread that may not have the least nice value.
func beFavoured(thread int) error {
	err := unix.SchedSetAttr(thread, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: leastNice, Runtime: uint64(slice),
	}, 0)
	if errors.Is(err, unix.EPERM) {
		return takeShortSlice(thread)
	}
	return err
}

func takeShortSlice(thread int) error {
	attributes, err := unix.SchedGetAttr(thread, 0)
	if err != nil {
		return err
	}
	attributes.Runtime = uint64(slice)
	return unix.SchedSetAttr(thread, attributes, 0)
}
