package xcf

import "sync"

// outbox holds what waits to be sent to one partner.
type outbox struct {
	mu       sync.Mutex
	payloads [][]byte
	size     int
	wake     chan struct{} // holds one token while the writer has something to do
	unsent   int           // payloads that were put and are not sent
	idle     chan struct{} // closed while there are none
	finished bool          // nothing is added any more; the writer ends after the rest
}

// overhead is what a payload that waits costs besides its bytes.
const overhead = 64

func newOutbox() *outbox {
	o := &outbox{wake: make(chan struct{}, 1), idle: make(chan struct{})}
	close(o.idle)
	return o
}

// put adds a payload. It returns false where that would be too much; a finished outbox
// swallows it.
func (o *outbox) put(payload []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return true
	}
	size := o.size + len(payload) + overhead
	if size > outboxLimit {
		return false
	}
	o.size = size
	o.payloads = append(o.payloads, payload)
	if o.unsent++; o.unsent == 1 {
		o.idle = make(chan struct{})
	}
	o.signal()
	return true
}

// finish lets the writer end once it has sent what waits.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns about batchSize bytes of what waits, and whether more may come.
func (o *outbox) take() (payloads [][]byte, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, size := 0, 0
	for n < len(o.payloads) && size < batchSize {
		size += len(o.payloads[n])
		n++
	}
	payloads = o.payloads[:n:n]
	o.payloads = o.payloads[n:]
	o.size -= size + n*overhead
	if len(o.payloads) > 0 {
		o.signal()
	}
	return payloads, len(o.payloads) > 0 || !o.finished
}

// sent takes in that payloads which were taken have been sent.
func (o *outbox) sent(payloads int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unsent -= payloads; o.unsent == 0 && payloads > 0 {
		close(o.idle)
	}
}

// empty is closed once everything put so far is sent.
func (o *outbox) empty() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.idle
}
