package takeover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// A claim is one ownership of a DVIPA: the epoch and who took it, between two moments. at is by the clock of files, which
// is clockStep late at most; by seen the claim was there.
type claim struct {
	epoch    uint64
	stack    string
	at, seen time.Time
}

// clockStep is the longest step of a kernel's clock (CONFIG_HZ).
const clockStep = 10 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (c claim) String() string {
	return fmt.Sprintf("%s epoch %d taken by %s", c.at.Format("15:04:05.000000"), c.epoch, c.stack)
}

// claims are those that were seen of one DVIPA. Old ones are cleaned away beside the port file while the plex runs,
// so they are collected as they come.
type claims struct {
	directory string
	mu        sync.Mutex
	seen      map[uint64]claim
	failure   error
}

// collectClaims collects those of a DVIPA that has been owned already, until ctx ends.
func collectClaims(ctx context.Context, s *trial.SystemTrial, dvipa netip.Addr) *claims {
	c := &claims{
		directory: filepath.Join(portfile.OwnersDirectory(s.Lab.PortFile()), portfile.ClaimsDirectory(dvipa)),
		seen:      map[uint64]claim{},
	}
	watcher, err := fsnotify.NewWatcher()
	verdict.Engine(err, "watch files")
	verdict.Engine(watcher.Add(c.directory), "watch the claims of %s", dvipa)
	go func() {
		defer watcher.Close()
		for {
			err := c.look()
			select {
			case <-ctx.Done():
				return
			case <-watcher.Events:
			case err = <-watcher.Errors:
			}
			if err != nil {
				c.mu.Lock()
				c.failure = err
				c.mu.Unlock()
				return
			}
		}
	}()
	return c
}

// look takes in what is there now.
func (c *claims) look() error {
	entries, err := os.ReadDir(c.directory)
	if err != nil {
		return err
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, entry := range entries {
		epoch, ended, ok := portfile.ParseClaimName(entry.Name())
		if _, known := c.seen[epoch]; !ok || ended || known {
			continue
		}
		text, err := os.Readlink(filepath.Join(c.directory, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // cleaned away since
		}
		if err != nil {
			return err
		}
		owner, err := portfile.ParseOwner(text)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		c.seen[epoch] = claim{epoch: epoch, stack: owner.Stack, at: info.ModTime(), seen: earlier(now, info.ModTime().Add(clockStep))}
	}
	return nil
}

// all returns what was seen by now.
func (c *claims) all() ([]claim, error) {
	if err := c.look(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []claim
	for _, one := range c.seen {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b claim) int { return cmp.Compare(a.epoch, b.epoch) })
	return all, c.failure
}

// Two stacks that take a DVIPA from one another without end do so as fast as they can; faults, betweenFaults apart at
// most, each make it change hands a few times: to who is there, to who is better, to who comes back.
const (
	mostClaims   = 8
	unrestWithin = 100 * time.Millisecond
)

// unrest is a series of ownerships that follow each other too fast; nil for none.
func unrest(held []claim) []claim {
	for i := range held[:max(len(held)-mostClaims, 0)] {
		if series := held[i : i+mostClaims+1]; series[mostClaims].at.Sub(series[0].at) < unrestWithin {
			return series
		}
	}
	return nil
}

func listing(claims []claim) string {
	var text strings.Builder
	for _, c := range claims {
		fmt.Fprintln(&text, c)
	}
	return text.String()
}
