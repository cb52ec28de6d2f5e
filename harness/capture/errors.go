package capture

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrStopped is the cause of waiting in vain at a capture that was stopped.
var ErrStopped = errors.New("capture was stopped")

// NotSeenError says that a packet did not come.
type NotSeenError struct {
	View   View
	Wanted Match
	// Recorded is what the view showed in the end.
	Recorded []Packet
	// Cause is that of the context, or ErrStopped.
	Cause error
}

// Error says what was expected and lists what came instead.
func (e *NotSeenError) Error() string {
	return fmt.Sprintf("not seen on %s: %s: %v; %s", e.View, e.Wanted, e.Cause, Listing(e.Recorded))
}

// Mismatch is for reports.
func (e *NotSeenError) Mismatch() (expected, actual string) {
	return fmt.Sprintf("on %s: %s", e.View, e.Wanted), fmt.Sprintf("not seen: %v; %s", e.Cause, Listing(e.Recorded))
}

// Unwrap is the cause, such as context.DeadlineExceeded.
func (e *NotSeenError) Unwrap() error { return e.Cause }

// UnexpectedError says that a packet came that should not have.
type UnexpectedError struct {
	View     View
	Unwanted Match
	Packet   Packet
	Recorded []Packet
}

// Error names the packet and lists what else came.
func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("seen on %s, where none is allowed: %s:\n  %s\n%s",
		e.View, e.Unwanted, e.Packet, Listing(e.Recorded))
}

// Mismatch is for reports.
func (e *UnexpectedError) Mismatch() (expected, actual string) {
	return fmt.Sprintf("none on %s: %s", e.View, e.Unwanted), e.Packet.String()
}

// LossError says that the kernel dropped packets before they were recorded, by interface. Nothing
// may be concluded from what is absent.
type LossError struct{ Lost map[string]uint64 }

// Error names the interfaces.
func (e *LossError) Error() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Lost)) {
		parts = append(parts, fmt.Sprintf("%d on %s", e.Lost[name], name))
	}
	return "packets were lost to the capture: " + strings.Join(parts, ", ")
}

// loss is a *LossError, or nil where nothing was lost. c.mu is held.
func (c *Capture) loss() error {
	lost := maps.Clone(c.lost)
	maps.DeleteFunc(lost, func(_ string, n uint64) bool { return n == 0 })
	if len(lost) == 0 {
		return nil
	}
	return &LossError{Lost: lost}
}
