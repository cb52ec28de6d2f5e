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
	case vipa.PortBound:
		return fmt.Sprintf("bound %s, %s", e.Local, e.Use)
	case vipa.SocketClosed:
		return "closed " + e.Local.String()
	case vipa.PortsMarked:
		return fmt.Sprintf("%d ports of %s marked", len(e.Ports), e.DVIPA)
	case vipa.PortsReleased:
		return fmt.Sprintf("%d ports of %s released", len(e.Ports), e.DVIPA)
	case vipa.BindInRange:
		return "bind activates " + e.DVIPA.String()
	case vipa.RangeUnused:
		return "unused " + e.DVIPA.String()
	case vipa.ConnectAsked:
		return fmt.Sprintf("connect %s to %s", e.Connection.Local, e.Connection.Remote)
	default:
		return fmt.Sprintf("%T", event)
	}
}
