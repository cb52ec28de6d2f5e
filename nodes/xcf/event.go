package xcf

import "github.com/plexlab-dev/plexlab/nodes/contract"

// An Event is what the group tells its stack. For each member they come as one Joined, then
// its messages in the order it sent them, then one Lost.
type Event interface{ event() }

// Joined: a partner proved the plex key and is in the group. Member.Outside is known.
type Joined struct{ Member contract.Member }

// Lost: the member is not in the group any more; no message of it follows.
type Lost struct {
	Member contract.Member
	Reason Reason
}

// Received is a message of a member. Unknown kinds are told too, as contract.Unknown.
type Received struct {
	From    contract.Member
	Message contract.Message
}

// Problem says what keeps this stack itself out of the group; the empty text ends it. Asked: it was taken out by Depart.
type Problem struct {
	Text  string
	Asked bool
}

func (Joined) event()   {}
func (Lost) event()     {}
func (Received) event() {}
func (Problem) event()  {}

// Reason says why a member was lost. Ended and Left mean that it does nothing in the group any more,
// because its process has ended, or gave notice; after every other reason it may still do so.
type Reason uint8

const (
	// Left: it said so in a HELLO and closed the connection, or we left (Depart) and it let go.
	Left Reason = iota + 1
	// Ended: its end of the connection was closed in order (FIN), which only the end of a
	// process does: a stack that gives up a connection resets it.
	Ended
	// Reset: the connection was reset. It gave us up, or ended with messages unread.
	Reset
	// Silent: no HELLO for Dead, or a connection that got nowhere although HELLOs went on.
	Silent
	// Restarted: a later incarnation has its XCF address.
	Restarted
	// NameTaken: an earlier incarnation under its name came into sight, or we ourselves
	// must stay out of the group.
	NameTaken
	// Overflow: it did not take in our messages until too many waited.
	Overflow
	// Violation: it sent a frame that was oversized, wrongly keyed or out of its place.
	Violation
	// Reconnected: it opened another connection in place of the one we had.
	Reconnected
)

var reasons = [...]string{
	Left: "it left in order", Ended: "its process ended", Reset: "it reset the connection",
	Silent: "it fell silent", Restarted: "it was started again", NameTaken: "an earlier incarnation has the name or address",
	Overflow: "it does not take in messages", Violation: "it broke the contract", Reconnected: "it connected again",
}

func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return "unknown reason"
}
