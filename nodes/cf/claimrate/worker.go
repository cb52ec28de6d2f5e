// Package claimrate measures how fast ports are claimed and given back through the port file,
// beside the bare locks that it cannot do without: from one process, and from several that
// contend for one DVIPA.
package claimrate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// dvipa is the one that all contend for; its entry is the first of the file.
var dvipa = netip.MustParseAddr("44.0.0.10")

// Kind is what a worker does over and over.
type Kind string

const (
	// Claims: claim a port of the pool, commit, give it back; two operations.
	Claims Kind = "claims"
	// Bare: lock and unlock the byte of the entry, waiting for it in the kernel; one operation.
	Bare Kind = "bare"
)

// A job is what the coordinator writes to a worker, as one line of JSON.
type job struct {
	Kind  Kind
	Until time.Duration // of CLOCK_MONOTONIC
}

// done is the answer, as one line of JSON.
type done struct {
	Operations int
	// P50 and P99 are percentiles of the time that a claim took, in nanoseconds, from the call
	// to the end of the commit.
	P50, P99 time.Duration
	Error    string
}

// Work is what a worker process does: stack number n, 1 to 128, of the plex whose port file is at
// the path. It takes jobs from standard input and ends with it.
func Work(path string, n int) error {
	f, err := cf.Open(cf.Config{Path: path, Plex: "PLEX1", Self: contract.Member{
		Stack: fmt.Sprintf("MVS%d", n), XCF: netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}), Incarnation: uint64(time.Now().UnixNano()),
	}})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := settled(f); err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	took := make([]time.Duration, 0, 1<<20)
	fmt.Println("{}")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var j job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return err
		}
		var d done
		switch j.Kind {
		case Claims:
			d = claims(f, j.Until, took)
		case Bare:
			d = bare(fd, j.Until)
		}
		answer, err := json.Marshal(d)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", answer)
	}
	return nil
}

// settled waits until ports are given out.
func settled(f *cf.File) error {
	for {
		c, err := f.Claim(context.Background(), cf.Request{DVIPA: dvipa, Use: cf.Unique})
		if err == nil {
			c.Abort()
			return nil
		}
		if !errors.As(err, new(*cf.FillingError)) {
			return err
		}
	}
}

func now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

func claims(f *cf.File, until time.Duration, took []time.Duration) (d done) {
	ctx := context.Background()
	end := time.Now().Add(until - now())
	for begin := time.Now(); begin.Before(end); begin = time.Now() {
		c, err := f.Claim(ctx, cf.Request{DVIPA: dvipa, Use: cf.Unique})
		if err == nil {
			err = c.Commit()
		}
		if err == nil {
			took = append(took, time.Since(begin))
			_, err = f.Release(ctx, dvipa, []cf.Release{{Port: c.Port()}}, nil)
		}
		if err != nil {
			d.Error = err.Error()
			return d
		}
		d.Operations += 2
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		d.P50, d.P99 = took[n/2], took[n*99/100]
	}
	return d
}

func bare(fd int, until time.Duration) (d done) {
	end := time.Now().Add(until - now())
	l := unix.Flock_t{Whence: io.SeekStart, Start: portfile.EntryOffset(0), Len: 1}
	for time.Now().Before(end) {
		for _, l.Type = range []int16{unix.F_WRLCK, unix.F_UNLCK} {
			if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &l); err != nil {
				d.Error = err.Error()
				return d
			}
		}
		d.Operations++
	}
	return d
}
