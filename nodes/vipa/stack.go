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
	lists      uint64            // broadcast

	dvipas map[netip.Addr]*dvipa
	// epochs are the highest heard of for each DVIPA. They outlive its record: what an owner of
	// long ago says is never taken for news.
	epochs  map[netip.Addr]known
	members map[netip.Addr]*member // the living, without self
	lost    map[netip.Addr]loss    // stacks that were members and are none, by XCF address

	gathered bool // DVIPAs may be taken
	started  bool // see Started
	outside  bool // a link to the outside is up
	adjacent bool // routers hear what is advertised, or need not
	handOver bool // see AdjacencyChanged
	cutOff   bool // from others, who see one another
	left     bool // VARY LEAVEGROUP
	quiet    quiet
	due      bool // who owns what is to be considered anew

	inherited map[netip.Addr]bool // see Inherit; empty when all were looked at
	listeners listeners
	sockets   map[uint64]*socket // bound to DVIPAs
	wayOut    netip.Addr

	connects  map[uint64]connect // that wait for the owner, by the number of the acknowledgement
	asked     uint64             // the latest such number
	addresses *Addresses         // nil: to be made anew

	inbox   []ownWord // told to itself, taken in when the event is done
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
		epochs:     make(map[netip.Addr]known),
		members:    make(map[netip.Addr]*member),
		lost:       make(map[netip.Addr]loss),
		outside:    cfg.Self.Outside,
		adjacent:   true,
		quiet:      newQuiet(),
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
		s.memberLost(ev.Member, ev.Cause)
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
	case Gathered:
		s.gathered, s.due = true, true
	case Gathering:
		s.gathered, s.due = false, true
	case Isolated:
		s.cutOff, s.due = ev.OthersSee, true
	case OutsideChanged:
		s.outsideChanged(ev.Up)
	case AdjacencyChanged:
		s.adjacencyChanged(ev)
	case OwnershipTaken:
		s.ownershipTaken(ev)
	case OwnershipRefused:
		s.ownershipRefused(ev)
	case SettleExpired:
		s.settleExpired(ev.DVIPA)
	case Vary:
		s.do(Varied{ID: ev.ID, Refused: s.vary(ev)})
	case WeightsChanged:
		s.weightsChanged(ev)
	}
	s.takeInOwnWords()
	for s.due {
		s.due = false
		s.reconsider()
		s.takeInOwnWords()
	}
	s.markInherited()
	return Result{Actions: s.actions, Trace: s.trace}
}

// ownWord is a message of the stack to itself; with a list go the connections held, where they
// are known.
type ownWord struct {
	message     contract.Message
	connections []contract.Connection
}

func (s *Stack) takeInOwnWords() {
	for len(s.inbox) > 0 {
		word := s.inbox[0]
		s.inbox = s.inbox[1:]
		if list, ok := word.message.(contract.VIPAList); ok {
			s.vipaList(s.self, list, word.connections)
		} else {
			s.figure13(s.self, word.message)
		}
	}
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
		s.answered(from)
	case contract.NEWCONNAck:
		s.acknowledged(from.Member, m.Acknowledge)
	}
}

// do adds actions to the result.
func (s *Stack) do(actions ...Action) { s.actions = append(s.actions, actions...) }

// tell sends a message to one stack, which may be this one.
func (s *Stack) tell(to netip.Addr, m contract.Message) {
	if to == s.self.XCF {
		s.inbox = append(s.inbox, ownWord{message: m})
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
