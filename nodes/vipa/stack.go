package vipa

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Stack is the state of one communication protocol stack. It is not safe for concurrent use.
//
// A stack may be a target of its own DVIPA (I7). Then its list goes through Figure 11, and what
// it answers goes through Figure 13, as with any other target, but without a Send.
//
// A stack sends its complete VIPAList to everyone when its profile changes and to each member
// that joins. Each VIPAList received is answered by a SRVSTAT for each service, NEWCONNs
// for the connections held, and then exactly one EndOfList: the sender of the list has been
// told everything (I20).
type Stack struct {
	self       contract.Member
	variant    Variant
	xcfNetwork netip.Prefix
	followed   bool // owners keep the tables of ports

	definition Definition        // in force
	list       contract.VIPAList // complete, as last told
	epoch      uint64            // of the latest acquisition; the first is 1

	dvipas    map[netip.Addr]*dvipa
	members   map[netip.Addr]*member // the living, without self
	listeners listeners
	sockets   map[uint64]*socket // bound to DVIPAs
	wayOut    netip.Addr

	connects  map[uint64]connect // that wait for the owner, by the number of the acknowledgement
	asked     uint64             // the latest such number
	addresses *Addresses         // nil: to be made anew

	inbox   []contract.Message // told to itself, taken in when the event is done
	actions []Action
	trace
}

// New returns a stack without definitions and partners.
func New(cfg Config) *Stack {
	return &Stack{
		self:       cfg.Self,
		variant:    cfg.Variant,
		xcfNetwork: cfg.XCFNetwork,
		followed:   cfg.OwnersKeepPorts,
		dvipas:     make(map[netip.Addr]*dvipa),
		members:    make(map[netip.Addr]*member),
		listeners:  newListeners(),
		sockets:    make(map[uint64]*socket),
		connects:   make(map[uint64]connect),
	}
}

// Step takes one event. The same events in the same order give the same results. The stack
// keeps parts of events, and results share memory with it: neither is to be changed afterwards.
func (s *Stack) Step(ev Event) Result {
	s.actions, s.trace = nil, nil
	switch ev := ev.(type) {
	case ProfileChanged:
		s.profileChanged(ev.Definition)
	case MemberJoined:
		s.memberJoined(ev.Member)
	case MemberLost:
		s.memberLost(ev.Member)
	case MessageReceived:
		s.messageReceived(ev)
	case ListenStarted:
		s.listenStarted(ev.Listener)
	case ListenEnded:
		s.listenEnded(ev.ID)
	case ConnectionsHeld:
		s.connectionsHeld(ev.Connections)
	case ConnectionsEnded:
		s.connectionsEnded(ev.Connections)
	case PortBound:
		s.portBound(ev)
	case SocketClosed:
		s.socketClosed(ev)
	case PortsMarked:
		s.portsMarked(ev)
	case PortsReleased:
		s.portsReleased(ev)
	case BindInRange:
		s.bindInRange(ev.DVIPA)
	case RangeUnused:
		s.rangeUnused(ev.DVIPA)
	case ConnectAsked:
		s.connectAsked(ev)
	}
	for len(s.inbox) > 0 {
		m := s.inbox[0]
		s.inbox = s.inbox[1:]
		if list, ok := m.(contract.VIPAList); ok {
			s.vipaList(s.self, list, nil)
		} else {
			s.figure13(s.self, m)
		}
	}
	return Result{Actions: s.actions, Trace: s.trace}
}

// messageReceived passes what a living member says through the figures.
func (s *Stack) messageReceived(ev MessageReceived) {
	if ev.From.XCF == s.self.XCF || !s.living(ev.From) {
		s.refuse(ev.From, "%s from %s incarnation %d, which is not a member",
			ev.Message.Kind(), ev.From.XCF, ev.From.Incarnation)
		return
	}
	from := s.members[ev.From.XCF]
	s.figure11(from.Member, ev.Message, ev.Connections)
	s.figure13(from.Member, ev.Message)
	switch m := ev.Message.(type) {
	case contract.EndOfList:
		from.unanswered = max(from.unanswered-1, 0)
	case contract.NEWCONNAck:
		s.acknowledged(from.Member, m.Acknowledge)
	}
}

// do adds actions to the result.
func (s *Stack) do(actions ...Action) { s.actions = append(s.actions, actions...) }

// tell sends a message to one stack, which may be this one.
func (s *Stack) tell(to netip.Addr, m contract.Message) {
	if to == s.self.XCF {
		s.inbox = append(s.inbox, m)
		return
	}
	s.do(Send{To: to, Message: m})
}

func (s *Stack) refuse(from contract.Member, format string, args ...any) {
	s.do(Refuse{From: from, Reason: fmt.Sprintf(format, args...)})
}

// sortedDVIPAs are the addresses of every DVIPA that the stack has a record of, in order.
func (s *Stack) sortedDVIPAs() []netip.Addr { return sortedAddresses(s.dvipas) }

func sortedAddresses[V any](m map[netip.Addr]V) []netip.Addr {
	return slices.SortedFunc(maps.Keys(m), netip.Addr.Compare)
}
