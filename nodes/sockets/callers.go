package sockets

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// maxIdle is how many threads are held on to beyond their calls; each costs a descriptor.
const maxIdle = 64

// callers holds on to the threads that called last, because they are likely to call again: to
// open one and to learn its process takes longer than all the rest of a bind().
type callers struct {
	mu sync.Mutex
	// idle are those that are in no call, by their number. Some may have ended.
	idle map[int]*thread
}

// open finds who called, and fetches the descriptor that the call is about (errors as of
// thread.fetch). Until the notification is found valid afterwards, caller and descriptor may be
// those of another thread that got the number. The caller must go to done.
func (all *callers) open(n notification, fd int) (_ *caller, own int, err error) {
	if n.TID == 0 {
		return nil, -1, fmt.Errorf("caller is in a PID namespace that the broker does not see: %w", unix.EPERM)
	}
	t := all.take(int(n.TID))
	if t != nil {
		// One that has ended does not answer; one that answers has the number still.
		if own, err = t.fetch(fd); errors.Is(err, unix.ESRCH) {
			t.close()
			t = nil
		}
	}
	if t == nil {
		if t, err = openThread(int(n.TID)); err != nil {
			return nil, -1, err
		}
		own, err = t.fetch(fd)
	}
	if err != nil {
		all.done(t)
		return nil, -1, err
	}
	return &caller{n, t}, own, nil
}

// take returns nil for a thread that is not held.
func (all *callers) take(tid int) *thread {
	all.mu.Lock()
	defer all.mu.Unlock()
	t := all.idle[tid]
	delete(all.idle, tid)
	return t
}

// done takes back a thread whose call is over.
func (all *callers) done(t *thread) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.idle == nil {
		all.idle = map[int]*thread{}
	}
	if before, again := all.idle[t.tid]; again {
		before.close()
	} else if len(all.idle) == maxIdle {
		for tid, any := range all.idle {
			any.close()
			delete(all.idle, tid)
			break
		}
	}
	all.idle[t.tid] = t
}

// close ends it once every call is done.
func (all *callers) close() {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, t := range all.idle {
		t.close()
	}
	clear(all.idle)
}
