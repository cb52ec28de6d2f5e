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
	case vipa.Gathered:
		return "gathered"
	case vipa.Gathering:
		return "gathering anew"
	case vipa.Isolated:
		return fmt.Sprintf("isolated, others see one another: %t", e.OthersSee)
	case vipa.AdjacencyChanged:
		return fmt.Sprintf("routers adjacent: %t, hands over: %t", e.Up, e.HandOver)
	case vipa.OutsideChanged:
		return fmt.Sprintf("outside up: %t", e.Up)
	case vipa.OwnershipTaken:
		return fmt.Sprintf("took %d DVIPAs", len(e.Taken))
	case vipa.OwnershipRefused:
		return fmt.Sprintf("%s belongs to %s at epoch %d", e.DVIPA, e.Owner.Stack, e.Epoch)
	case vipa.SettleExpired:
		return "settling of " + e.DVIPA.String() + " expired"
	case vipa.Vary:
		return fmt.Sprintf("vary %d", e.Command)
	case vipa.WeightsChanged:
		return "weights of " + e.DVIPA.String()
	default:
		return fmt.Sprintf("%T", event)
	}
}
