package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// slice is how long a thread of the stack runs at a time if others want to. Of those that wake the kernel runs the one
// first that asks for the shortest (EEVDF, from Linux 6.12 on; 0.1 ms is the least that there is). A stack has
// little to do, but if it does it late on a busy machine, others take it for lost.
const slice = 100 * time.Microsecond

// bePrompt asks for it, for all threads of the process and those that they start. It needs no privilege; older kernels
// take no notice.
func bePrompt() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		attributes, err := unix.SchedGetAttr(id, 0)
		if err == nil {
			attributes.Runtime = uint64(slice)
			err = unix.SchedSetAttr(id, attributes, 0)
		}
		if err != nil {
			return fmt.Errorf("ask the scheduler to be prompt: %w", err)
		}
	}
	return nil
}
