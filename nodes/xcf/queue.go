package xcf

import "sync"

// queue holds events until the consumer takes them. Who joined or was lost never waits for
// room; messages do, for each partner apart.
type queue struct {
	mu     sync.Mutex
	room   sync.Cond // an event was taken, or the queue or a partner closed
	events []queued
	wake   chan struct{} // holds one token while events may be waiting
	closed bool
}

type queued struct {
	event Event
	from  *inbox // of a Received, else nil
}

// inbox is one partner's share of the queue, guarded by the queue's mutex.
type inbox struct {
	waiting int
	closed  bool
}

func newQueue() *queue {
	q := &queue{wake: make(chan struct{}, 1)}
	q.room.L = &q.mu
	return q
}

// put adds an event that does not wait.
func (q *queue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(queued{event: e})
}

// putReceived adds a message of the partner with this inbox, waiting for room. It returns
// false once the partner or the queue is closed.
func (q *queue) putReceived(from *inbox, e Received) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for from.waiting >= inboxLimit && !from.closed && !q.closed {
		q.room.Wait()
	}
	if from.closed || q.closed {
		return false
	}
	from.waiting++
	q.add(queued{event: e, from: from})
	return true
}

// putLost adds the last event of a partner; messages that come after it are dropped.
func (q *queue) putLost(from *inbox, e Lost) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from.closed = true
	q.room.Broadcast()
	q.add(queued{event: e})
}

func (q *queue) add(e queued) {
	if q.closed {
		return
	}
	q.events = append(q.events, e)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, in order.
func (q *queue) take() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	return events
}

// taken notes that the consumer has a message.
func (q *queue) taken(from *inbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from.waiting--
	q.room.Broadcast()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.events = true, nil
	q.room.Broadcast()
}

// deliver hands events to the consumer until stop is closed, and then closes out.
func (q *queue) deliver(out chan<- Event, stop <-chan struct{}) {
	defer close(out)
	for {
		select {
		case <-q.wake:
		case <-stop:
			return
		}
		for _, e := range q.take() {
			select {
			case out <- e.event:
			case <-stop:
				return
			}
			if e.from != nil {
				q.taken(e.from)
			}
		}
	}
}
