package main

import (
	"fmt"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// describe names an event in the words of the trace.
func describe(event vipa.Event) string {
	switch e := event.(type) {
	case vipa.ProfileChanged:
		return "profile"
	case vipa.MemberJoined:
		return "joined " + e.Member.Stack
	case vipa.MemberLost:
		return "lost " + e.Member.Stack
	case vipa.MessageReceived:
		return fmt.Sprintf("%s from %s", e.Message.Kind(), e.From.Stack)
	case vipa.ListenStarted:
		return "listen " + e.Listener.Local.String()
	case vipa.ListenEnded:
		return fmt.Sprintf("listen ended %d", e.ID)
	case vipa.ConnectionsHeld:
		return fmt.Sprintf("%d connections held", len(e.Connections))
	case vipa.ConnectionsEnded:
		return fmt.Sprintf("%d connections ended", len(e.Connections))
	default:
		return fmt.Sprintf("%T", event)
	}
}
