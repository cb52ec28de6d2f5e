package peer

import (
	"fmt"
	"strings"
)

// NotToldError says that a peer waited in vain for its partner.
type NotToldError struct {
	Peer, Wanted string
	// Came is what happened instead, a line each.
	Came string
	// Cause is that of the context.
	Cause error
}

// Error says what was expected and lists what came instead.
func (e *NotToldError) Error() string {
	return fmt.Sprintf("%s expected %s and got instead:%s: %v", e.Peer, e.Wanted, e.Came, e.Cause)
}

// Mismatch is for reports.
func (e *NotToldError) Mismatch() (expected, actual string) {
	return e.Peer + " is told " + e.Wanted, strings.TrimSpace(e.Came)
}

// Unwrap is the cause, such as context.DeadlineExceeded.
func (e *NotToldError) Unwrap() error { return e.Cause }

// UnexpectedError says that a peer was told what it should not have been.
type UnexpectedError struct {
	Peer, Unwanted string
	Entry          Entry
}

// Error names the message.
func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("%s expected no %s, and got: %s", e.Peer, e.Unwanted, e.Entry)
}

// Mismatch is for reports.
func (e *UnexpectedError) Mismatch() (expected, actual string) {
	return fmt.Sprintf("%s is told no %s", e.Peer, e.Unwanted), e.Entry.String()
}
