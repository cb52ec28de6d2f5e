package sockets

import "sync"

// requests are half-open requests that Connections told of. Their end gives no event, and no sweep
// sees them, so each is asked about until it is gone or has become a connection that ended.
type requests struct {
	mu   sync.Mutex
	told []closed
	wake chan struct{} // of capacity 1
}

func newRequests() *requests { return &requests{wake: make(chan struct{}, 1)} }

func (r *requests) add(request closed) {
	r.mu.Lock()
	r.told = append(r.told, request)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *requests) take() []closed {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}
