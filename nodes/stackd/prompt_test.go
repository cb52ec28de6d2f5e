package main

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onThread calls a function on a thread that ends with it, so that what it asks of the scheduler stays without effect.
func onThread(call func(thread int)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		call(unix.Gettid())
	}()
	<-done
}

func scheduling(t *testing.T, thread int) *unix.SchedAttr {
	attributes, err := unix.SchedGetAttr(thread, 0)
	if err != nil {
		t.Error(err)
		return new(unix.SchedAttr)
	}
	return attributes
}

func TestBeRealTime(t *testing.T) {
	permitted := false
	onThread(func(thread int) {
		permitted = unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: realTime}, 0) == nil
	})
	if !permitted {
		t.Skip("needs CAP_SYS_NICE in the first user namespace, as root has: a thread becomes real-time")
	}
	onThread(func(thread int) {
		if err := beRealTime(thread); err != nil {
			t.Error(err)
			return
		}
		if got := scheduling(t, thread); got.Policy != unix.SCHED_RR || got.Priority != realTime {
			t.Errorf("policy %d and priority %d, want SCHED_RR and %d", got.Policy, got.Priority, realTime)
		}
	})
}

func TestTakeShortSlice(t *testing.T) {
	onThread(func(thread int) {
		if err := takeShortSlice(thread); err != nil {
			t.Error(err)
			return
		}
		if got := scheduling(t, thread); got.Policy != unix.SCHED_NORMAL || time.Duration(got.Runtime) != slice {
			t.Errorf("policy %d and slice %v, want SCHED_NORMAL and %v", got.Policy, time.Duration(got.Runtime), slice)
		}
	})
}
