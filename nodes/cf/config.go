package cf

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// Defaults of the configuration.
const (
	DefaultLockTimeout = 200 * time.Millisecond
	DefaultCheck       = 3 * portfile.BeatInterval
	// DefaultRest is how long Linux keeps a connection in TIME_WAIT (TCP_TIMEWAIT_LEN,
	// include/net/tcp.h).
	DefaultRest = time.Minute
)

// DefaultPool is the pool where none is configured: all ports without privilege.
var DefaultPool = contract.PortRange{First: 1024, Last: 65535}

// Config is how one stack uses the port file of its plex.
type Config struct {
	// Path is where the port file is, or is made. Its directory has to be on a file system that
	// reserves room (fallocate) and makes unnamed files (O_TMPFILE): tmpfs, ext4, xfs.
	Path string
	// Plex is the name of the plex.
	Plex string
	// Self is the stack. No two that live at once have one XCF address; the incarnation is
	// greater than that of every earlier start.
	Self contract.Member
	// Pool are the ports that port 0 is answered from; the zero value is DefaultPool. Whoever
	// makes an entry decides for all.
	Pool contract.PortRange
	// Rest is how long ports rest that are released to rest, and the unique ones of a stack
	// that is gone: 0, not at all, to portfile.MaxRest; DefaultRest is the usual.
	Rest time.Duration
	// InUse are the ports of a DVIPA that sockets of this system have since before the stack was started. They are the
	// stack's from the beginning: as its incarnation before had them, else shared until Mark says otherwise, so that
	// nobody gets one as unique. Inherited tells which; nil: there are none. It is asked once at most for each DVIPA.
	InUse func(dvipa netip.Addr) []uint16
	// LockTimeout is how long a lock is waited for; 0 is DefaultLockTimeout.
	LockTimeout time.Duration
	// Check is the time between two checks of the file and of the stacks that have slots in it;
	// 0 is DefaultCheck. All stacks of a plex should have the same.
	Check time.Duration
	// Pulse says when it is time for a check, and has to go on until Close; nil: one of its own.
	Pulse *pulse.Pulse
	// Logger takes what a person should know; nil discards it.
	Logger *slog.Logger
}

func (c *Config) complete() error {
	if c.Pool == (contract.PortRange{}) {
		c.Pool = DefaultPool
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = DefaultLockTimeout
	}
	if c.Check == 0 {
		c.Check = DefaultCheck
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.InUse == nil {
		c.InUse = func(netip.Addr) []uint16 { return nil }
	}
	switch {
	case c.Path == "":
		return fmt.Errorf("port file: no path")
	case len(c.Plex) < 1 || len(c.Plex) > contract.MaxName:
		return fmt.Errorf("port file: name of the plex %q, want 1 to %d characters", c.Plex, contract.MaxName)
	case len(c.Self.Stack) < 1 || len(c.Self.Stack) > contract.MaxName:
		return fmt.Errorf("port file: name of the stack %q, want 1 to %d characters", c.Self.Stack, contract.MaxName)
	case !c.Self.XCF.IsValid() || c.Self.XCF.Zone() != "":
		return fmt.Errorf("port file: XCF address %s, want one without zone", c.Self.XCF)
	case c.Self.Incarnation == 0:
		return fmt.Errorf("port file: incarnation 0")
	case c.Pool.First < 1 || c.Pool.First > c.Pool.Last:
		return fmt.Errorf("port file: pool %d to %d, want 1 <= first <= last", c.Pool.First, c.Pool.Last)
	case c.Rest < 0 || c.Rest > portfile.MaxRest:
		return fmt.Errorf("port file: rest of %v, want 0 to %v", c.Rest, portfile.MaxRest)
	case c.LockTimeout < 0 || c.Check < 0:
		return fmt.Errorf("port file: lock timeout %v, check %v, want none below 0", c.LockTimeout, c.Check)
	}
	return nil
}
