package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// talkEvery is the time between two messages of a connection. A thousand of them that talk twice as
	// often keep two processors busy, and what is measured is who runs when.
	talkEvery = 100 * time.Millisecond
	// talkLength is that of a message in bytes.
	talkLength = 32
	// callerLife is how long each of the connections talks that are opened all the time.
	callerLife = time.Second
	// talkLimit bounds the wait for an echo and for a connection.
	talkLimit = 5 * time.Second
)

// Talk is what became of the connections of a Talker.
type Talk struct {
	// Connections that were established.
	Connections int `json:"connections"`
	// Failures counts those of them that failed, and those that could not be opened, by what failed.
	Failures map[string]int `json:"failures,omitempty"`
	// Waits has an element for each connection that did not fail.
	Waits []Wait `json:"waits"`
	// Usual is the longest time until an echo came before the mark, of any of them, in nanoseconds.
	Usual int64 `json:"usual_ns"`
}

// Wait is how long one connection waited at most, in nanoseconds.
type Wait struct {
	// Echo is the longest time until an echo came since the mark.
	Echo int64 `json:"echo_ns"`
	// RTO is the longest retransmission time-out that the connection had before the mark, or after its first
	// message where that came later; zero where packets were lost before it was known.
	RTO int64 `json:"rto_ns,omitempty"`
}

// Talker is the client of Echo. Its commands:
//
//	talk ADDRESS:PORT CONNECTIONS RATE  opens so many connections; each sends a small message every 100 ms,
//	            or as soon as the echo of the last is there. Answers once all have begun. From then on so
//	            many a second are opened besides. They send their first message after 100 ms, so that some
//	            are younger than three packets at any time, and end after a second
//	mark        tells the waits before from those after
//	end         waits for one more echo on each connection and ends them; the answer has what became
//	            of all
//
// Returns when in ends.
func Talker(in io.Reader, out io.Writer) error {
	var t *talker
	return serve(in, out, func(line string) (Answer, error) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[0] == "talk" && t == nil:
			service, err := netip.ParseAddrPort(words[1])
			if err != nil {
				return Answer{}, fmt.Errorf("talk: %w", err)
			}
			connections, err := strconv.Atoi(words[2])
			if err != nil {
				return Answer{}, fmt.Errorf("talk: connections: %w", err)
			}
			rate, err := strconv.Atoi(words[3])
			if err != nil {
				return Answer{}, fmt.Errorf("talk: rate: %w", err)
			}
			t = newTalker(service)
			t.open(connections)
			if rate > 0 {
				t.all.Go(func() { t.call(time.Second / time.Duration(rate)) })
			}
			return Answer{}, nil
		case len(words) == 1 && words[0] == "mark" && t != nil:
			t.mark()
			return Answer{}, nil
		case len(words) == 1 && words[0] == "end" && t != nil:
			t.cancel()
			t.all.Wait()
			answer := Answer{Talk: &t.talk}
			t = nil
			return answer, nil
		default:
			return Answer{}, fmt.Errorf("unknown command %q, or not at this time", line)
		}
	})
}

// talker has one goroutine a connection.
type talker struct {
	service string
	ended   context.Context // done: no more messages than one
	cancel  context.CancelFunc
	all     sync.WaitGroup

	mu     sync.Mutex
	marked bool
	talk   Talk
}

func newTalker(service netip.AddrPort) *talker {
	t := &talker{service: service.String(), talk: Talk{Failures: map[string]int{}, Waits: []Wait{}}}
	t.ended, t.cancel = context.WithCancel(context.Background())
	return t
}

// open opens the connections that stay, and returns when all have begun.
func (t *talker) open(connections int) {
	var begun sync.WaitGroup
	for range connections {
		begun.Add(1)
		t.all.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			// They don't speak all at once.
			t.converse(t.ended, rand.N(talkEvery), once)
		})
	}
	begun.Wait()
}

// call opens one connection after the other.
func (t *talker) call(pause time.Duration) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-t.ended.Done():
			return
		case <-ticker.C:
			t.all.Go(func() {
				life, cancel := context.WithTimeout(t.ended, callerLife)
				defer cancel()
				t.converse(life, talkEvery, func() {})
			})
		}
	}
}

// converse is a connection from its opening until its life is over, and one message after that. It calls
// begun after the first echo.
func (t *talker) converse(life context.Context, pause time.Duration, begun func()) {
	conn, err := net.DialTimeout("tcp4", t.service, talkLimit)
	if err != nil {
		t.fail(err)
		return
	}
	defer conn.Close()
	t.add(func(talk *Talk) { talk.Connections++ })
	first, wait := true, Wait{}
	message := make([]byte, talkLength)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for last := false; !last; {
		select {
		case <-timer.C:
		case <-life.Done():
			last = true
		}
		sent := time.Now()
		if err := exchange(conn, message, sent.Add(talkLimit)); err != nil {
			t.fail(err)
			return
		}
		took := time.Since(sent)
		disturbed := t.disturbed(took)
		if disturbed {
			wait.Echo = max(wait.Echo, int64(took))
		}
		if first || !disturbed {
			wait.RTO = max(wait.RTO, int64(retransmission(conn.(*net.TCPConn))))
		}
		timer.Reset(talkEvery - took)
		if first {
			first = false
			begun()
		}
	}
	t.add(func(talk *Talk) { talk.Waits = append(talk.Waits, wait) })
}

func exchange(conn net.Conn, message []byte, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(message); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, message)
	return err
}

// retransmission is the retransmission time-out of a connection, 0 if it is not known or has grown because
// packets were lost.
func retransmission(conn *net.TCPConn) (rto time.Duration) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.Backoff == 0 && info.Total_retrans == 0 {
			rto = time.Duration(info.Rto) * time.Microsecond
		}
	})
	return rto
}

func (t *talker) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked = true
}

// disturbed says whether the mark was before the end of a wait, and takes it in as usual otherwise.
func (t *talker) disturbed(took time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.marked {
		t.talk.Usual = max(t.talk.Usual, int64(took))
	}
	return t.marked
}

func (t *talker) add(change func(*Talk)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.talk)
}

// fail counts a connection that failed by the innermost reason, which has no addresses in it.
func (t *talker) fail(err error) {
	var call *os.SyscallError
	reason := err.Error()
	switch {
	case errors.As(err, &call):
		reason = call.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = fmt.Sprintf("no answer within %v", talkLimit)
	}
	t.add(func(talk *Talk) { talk.Failures[reason]++ })
}
