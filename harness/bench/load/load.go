// Package load opens short TCP connections as fast as it can and counts them: the client side
// of a connection benchmark. One connection is a connect, a small request, its answer, a close.
package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Close says how the client ends a connection.
type Close string

const (
	// CloseFIN closes first, so that the remnant (TIME_WAIT, 60 s) stays at the client and the
	// server sees an orderly end.
	CloseFIN Close = "fin"
	// CloseRST resets, so that no remnant stays anywhere.
	CloseRST Close = "rst"
)

// Config describes one run.
type Config struct {
	Target netip.AddrPort
	// Sources are used in turn; each has about 28,000 ephemeral ports for one target, so with
	// too few of them connect's search for a free port is what gets measured. None: the kernel
	// chooses the address.
	Sources []netip.Addr
	// Port, if not 0, is the source port of every connection: the same 4-tuple is used again and
	// again. It takes one source, one worker and CloseRST, which leaves no remnant in its way.
	Port uint16
	// Workers is the number of connections open at a time, each with a thread of its own; 1 or more.
	Workers int
	// Duration of the run at most, above zero.
	Duration time.Duration
	// Connections, if not 0, ends each worker after so many, failed ones included.
	Connections int
	// Request is sent once a connection is open, and an answer of one byte or more awaited;
	// empty: nothing is exchanged.
	Request []byte
	Close   Close
	// Timeout of each step of a connection; 0 means 2 s.
	Timeout time.Duration
}

// Result counts what happened.
type Result struct {
	Connections int           `json:"connections"`
	Elapsed     time.Duration `json:"elapsed_ns"`
	// Failures counts failed connections by what failed ("connect: connection refused").
	Failures map[string]int `json:"failures,omitempty"`
}

// PerSecond is the rate of the connections that succeeded.
func (r Result) PerSecond() float64 { return float64(r.Connections) / r.Elapsed.Seconds() }

// Failed is the number of connections that did not succeed.
func (r Result) Failed() int {
	n := 0
	for _, count := range r.Failures {
		n += count
	}
	return n
}

// Plus is the result of two runs, one after the other.
func (r Result) Plus(other Result) Result {
	failures := maps.Clone(r.Failures)
	if failures == nil {
		failures = map[string]int{}
	}
	for what, n := range other.Failures {
		failures[what] += n
	}
	return Result{
		Connections: r.Connections + other.Connections,
		Elapsed:     r.Elapsed + other.Elapsed,
		Failures:    failures,
	}
}

// Run opens connections until the duration is over or ctx is done. It needs no privilege.
// Failing connections are counted, they don't end the run; an error is returned for a
// configuration that cannot work.
func Run(ctx context.Context, config Config) (Result, error) {
	if err := config.check(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, config.Duration)
	defer cancel()

	// A thread that waits in the kernel keeps its place among those that run; were there fewer places than threads,
	// the runtime's monitor would have to take it away first, 20 us later at least.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(runtime.NumCPU(), config.Workers)))
	start := time.Now()
	results := make([]Result, config.Workers)
	var workers sync.WaitGroup
	for i := range results {
		workers.Go(func() {
			// A thread of its own spares each of the blocking calls the scheduler.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			results[i] = work(ctx, config, i)
		})
	}
	workers.Wait()

	var total Result
	for _, r := range results {
		total = total.Plus(r)
	}
	total.Elapsed = time.Since(start) // they ran at the same time
	return total, nil
}

func (c *Config) check() error {
	switch {
	case !c.Target.IsValid() || c.Target.Port() == 0:
		return errors.New("load: target: an address with a port is needed")
	case c.Workers < 1:
		return fmt.Errorf("load: %d workers: at least 1 is needed", c.Workers)
	case c.Duration <= 0:
		return fmt.Errorf("load: duration %v: it must be above zero", c.Duration)
	case c.Close != CloseFIN && c.Close != CloseRST:
		return fmt.Errorf("load: close %q: %s or %s is needed", c.Close, CloseFIN, CloseRST)
	case c.Connections < 0:
		return fmt.Errorf("load: %d connections: at least 1 is needed, or 0 for as many as the duration allows", c.Connections)
	case c.Port != 0 && (len(c.Sources) != 1 || c.Workers != 1 || c.Close != CloseRST):
		return fmt.Errorf("load: source port %d: one source, one worker and close %s are needed", c.Port, CloseRST)
	}
	for _, source := range c.Sources {
		if source.Is4() != c.Target.Addr().Is4() {
			return fmt.Errorf("load: source %s and target %s are of different families", source, c.Target)
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	return nil
}

// work opens one connection after the other until ctx is done. Workers begin with different
// sources, and each goes through all of them.
func work(ctx context.Context, config Config, worker int) Result {
	result := Result{Failures: map[string]int{}}
	answer := make([]byte, 4096)
	for n := 0; ctx.Err() == nil && (config.Connections == 0 || n < config.Connections); n++ {
		var source netip.AddrPort
		if len(config.Sources) > 0 {
			source = netip.AddrPortFrom(config.Sources[(worker+n)%len(config.Sources)], config.Port)
		}
		if err := connection(config, source, answer); err != nil {
			result.Failures[err.Error()]++
			continue
		}
		result.Connections++
	}
	return result
}

// connection is one connection from socket to close.
func connection(config Config, source netip.AddrPort, answer []byte) error {
	fd, err := Dial(source, config.Target, config.Timeout)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if len(config.Request) > 0 {
		err := uninterrupted(func() error { _, err := unix.Write(fd, config.Request); return err })
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		n := 0
		err = uninterrupted(func() (err error) { n, err = unix.Read(fd, answer); return err })
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if n == 0 {
			return errors.New("receive: closed by the server without an answer")
		}
	}
	if config.Close == CloseRST {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("setsockopt SO_LINGER: %w", err)
		}
	}
	return nil
}
