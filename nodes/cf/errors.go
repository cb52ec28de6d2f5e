package cf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrAlive is the error of Reclaim for a stack whose process lives.
var ErrAlive = errors.New("the stack lives")

// InUseError: another stack holds the port (Figure 15, block 206). EADDRINUSE.
type InUseError struct {
	DVIPA  netip.Addr
	Port   uint16
	Holder string // the stacks that hold it, such as "MVS2 (10.1.0.2)"
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("port %d of %s is in use by %s", e.Port, e.DVIPA, e.Holder)
}

// Unwrap is the errno of the bind.
func (e *InUseError) Unwrap() error { return unix.EADDRINUSE }

// ExhaustedError: every port of the pool is in use or rests (205-none). EADDRINUSE.
type ExhaustedError struct{ DVIPA netip.Addr }

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("no port of %s is available: all of its pool are in use or rest", e.DVIPA)
}

// Unwrap is the errno of the bind.
func (e *ExhaustedError) Unwrap() error { return unix.EADDRINUSE }

// BusyError: somebody kept a lock beyond the timeout. EAGAIN.
type BusyError struct {
	What   string // that is locked
	Holder string // who has the lock
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is locked by %s: try again, or end that process", e.What, e.Holder)
}

// Unwrap is the errno of the bind.
func (e *BusyError) Unwrap() error { return unix.EAGAIN }

// DamagedError: the port file, or an entry of it, cannot be used. ENOSPC where there is no room for
// it, else EIO.
type DamagedError struct {
	Path    string
	Problem string // what is wrong and what a person can do
	Full    bool   // there is no room
}

func (e *DamagedError) Error() string { return fmt.Sprintf("port file %s: %s", e.Path, e.Problem) }

// Unwrap is the errno of the bind.
func (e *DamagedError) Unwrap() error {
	if e.Full {
		return unix.ENOSPC
	}
	return unix.EIO
}

// FillingError: the port file is made anew, and not every stack has registered the ports that it
// holds yet. EAGAIN.
type FillingError struct {
	Path string
	// Waiting are the stacks that have yet to register; none in the short time after
	// the file was made in which they may say that they hold ports.
	Waiting []string
}

func (e *FillingError) Error() string {
	if len(e.Waiting) == 0 {
		return fmt.Sprintf("port file %s is made anew: try again", e.Path)
	}
	return fmt.Sprintf("port file %s is made anew and waits for %s to register: try again", e.Path, strings.Join(e.Waiting, ", "))
}

// Unwrap is the errno of the bind.
func (e *FillingError) Unwrap() error { return unix.EAGAIN }

// OwnerError: the owner of a DVIPA, which keeps the table of its ports, gives none out for now.
// EAGAIN.
type OwnerError struct {
	DVIPA netip.Addr
	// Owner is the stack that keeps the table; empty where none does that lives.
	Owner string
	// Waiting are the stacks that have yet to tell the owner what they hold, as far as
	// it said; where there are none, the owner has not answered.
	Waiting []string
}

func (e *OwnerError) Error() string {
	switch {
	case e.Owner == "":
		return fmt.Sprintf("no stack that lives owns %s and keeps the table of its ports: start one that does", e.DVIPA)
	case len(e.Waiting) > 0:
		return fmt.Sprintf("%s keeps the ports of %s and waits for %s to tell what it holds: try again", e.Owner, e.DVIPA, strings.Join(e.Waiting, ", "))
	}
	return fmt.Sprintf("%s, which keeps the ports of %s, has not answered: try again", e.Owner, e.DVIPA)
}

// Unwrap is the errno of the bind.
func (e *OwnerError) Unwrap() error { return unix.EAGAIN }
