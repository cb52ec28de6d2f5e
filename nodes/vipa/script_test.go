package vipa_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A script runs stacks by commands, one a paragraph of a file in testdata:
//
//	symbols                    NAME ADDRESS lines; names stand for addresses from there on
//	stack S xcf=A [outside] [enumerated-only] [xcf-network=A/LENGTH] [alone]     alone: not gathered yet
//	owners at-once|asked       when ownerships that are asked for are taken: at once (the default), or by take
//	take S [DVIPA ...]         what is asked for is taken, or refused
//	superseded S DVIPA epoch=N OWNER [dead]    another stack has taken it
//	gathered S, gathering S, isolated S [others-see], outside S up|down, settle-expired S DVIPA
//	vary S COMMAND [port=N] [application=A] [dvipa=A]
//	weights S DVIPA [port=N]   XCF WEIGHT lines
//	inside S DVIPA             where a connection from S to the DVIPA goes
//	profile S                  define, backup, distribute, sourceipa lines
//	join S M [xcf=A] [inc=N] [outside]     M is another stack of the script, or a scripted partner
//	lose S M [ended|left|frozen|silent|cut-off|parted]
//	message S M KIND ...       KIND is a message's, its fields follow; see command.message
//	listen S id=N ADDRESS:PORT [v6only] [application=A]
//	close S id=N
//	held S, ended S            REMOTE LOCAL lines
//	pool FIRST-LAST            ports that the coupling facility of the script gives out for port 0
//	bind S ADDRESS:PORT id=N [kernel=(in-use|no-address|failed, ...)] [cf=(lookup|commit)]
//	source S APPLICATION ADDRESS [id=N]    chooses a source; with id= binds to it
//	socket-closed S id=N [ADDRESS:PORT]
//	marked S DVIPA [PORT:USE ...]          the coupling facility has answered
//	released S DVIPA PORT ...
//	range-unused S DVIPA
//	connect S id=N REMOTE LOCAL
//	packet S REMOTE LOCAL FLAGS            to the model of Figure 12, which has seen S's actions
//	changes S                  definition lines; what they would change
//	show S dvipas|dpt|unique|members|ports
//	deliver                    hand every message between stacks of the script over, until none is left
//
// Each prints the actions and, below, the trace.
type script struct {
	symbols map[string]netip.Addr
	stacks  map[string]*scripted
	members map[string]contract.Member
	queue   []posted
	passed  map[vipa.Edge]bool
	cf      *couplingFacility
	owners  owners
	asked   bool // ownerships are taken by take alone
}

type scripted struct {
	*vipa.Stack
	tables *vipa.Tables
	// takes are what was asked for and not answered, by DVIPA.
	takes map[netip.Addr]vipa.TakeOwnership
}

// posted is a message between two stacks of the script.
type posted struct {
	from, to string
	message  contract.Message
}

func newScript() *script {
	return &script{
		symbols: make(map[string]netip.Addr),
		stacks:  make(map[string]*scripted),
		members: make(map[string]contract.Member),
		passed:  make(map[vipa.Edge]bool),
		cf:      newCouplingFacility(contract.PortRange{First: 5000, Last: 5002}),
		owners:  make(owners),
	}
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	c := &command{t: t, d: d, script: s}
	switch d.Cmd {
	case "symbols":
		for _, words := range c.lines() {
			s.symbols[words[0]] = netip.MustParseAddr(words[1])
		}
		return ""
	case "stack":
		s.start(c)
		return ""
	case "profile":
		return s.step(c.word(0), vipa.ProfileChanged{Definition: c.definition()})
	case "join":
		return s.step(c.word(0), vipa.MemberJoined{Member: c.member()})
	case "lose":
		return s.step(c.word(0), vipa.MemberLost{Member: s.members[c.word(1)], Cause: causes[c.optional(2, "ended")]})
	case "message":
		ev := vipa.MessageReceived{From: s.members[c.word(1)], Message: c.message()}
		for _, held := range c.values("held") {
			ev.Connections = append(ev.Connections, c.connection(strings.Fields(held)))
		}
		return s.step(c.word(0), ev)
	case "listen":
		return s.step(c.word(0), vipa.ListenStarted{Listener: vipa.Listener{
			ID: c.number("id", 0), Local: c.socket(c.word(1)), V6Only: d.HasArg("v6only"),
			Application: c.value("application"),
		}})
	case "close":
		return s.step(c.word(0), vipa.ListenEnded{ID: c.number("id", 0)})
	case "held":
		return s.step(c.word(0), vipa.ConnectionsHeld{Connections: c.connections()})
	case "ended":
		return s.step(c.word(0), vipa.ConnectionsEnded{Connections: c.connections()})
	case "pool":
		s.cf.pool = c.ports(c.word(0))
		return ""
	case "bind":
		asked := c.socket(c.word(1))
		return s.bind(c, s.stacks[c.word(0)].Addresses().Bind(asked))
	case "source":
		return s.source(c)
	case "socket-closed":
		return s.step(c.word(0), vipa.SocketClosed{
			ID: c.number("id", 0), Local: c.socket(c.optional(1, "-")), NeverConnected: d.HasArg("never-connected"),
		})
	case "marked":
		return s.marked(c)
	case "released":
		return s.released(c)
	case "range-unused":
		return s.step(c.word(0), vipa.RangeUnused{DVIPA: c.address(c.word(1))})
	case "connect":
		return s.step(c.word(0), vipa.ConnectAsked{ID: c.number("id", 0), Connection: contract.Connection{
			Remote: c.socket(c.word(1)), Local: c.socket(c.word(2)),
		}})
	case "changes":
		return s.changes(c)
	case "packet":
		return s.packet(c)
	case "show":
		return s.show(s.stacks[c.word(0)].Stack, c.word(1))
	case "deliver":
		return s.deliver()
	}
	if out, ok := s.takeover(c); ok {
		return out
	}
	t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	return ""
}

func (s *script) start(c *command) {
	name := c.word(0)
	self := contract.Member{
		Stack: name, XCF: c.address(c.value("xcf")), Incarnation: c.number("inc", 1), Outside: c.d.HasArg("outside"),
	}
	s.members[name] = self
	cfg := vipa.Config{Self: self}
	if c.d.HasArg("xcf-network") {
		cfg.XCFNetwork = c.prefix(c.value("xcf-network"))
	}
	if c.d.HasArg("enumerated-only") {
		cfg.Variant = vipa.EnumeratedOnly
	}
	cfg.OwnersKeepPorts = c.d.HasArg("owners-keep-ports")
	core := vipa.New(cfg)
	for _, address := range c.values("inherits") {
		core.Inherit([]netip.Addr{c.address(address)})
	}
	s.stacks[name] = &scripted{
		Stack: core, tables: vipa.NewTables(self.XCF), takes: make(map[netip.Addr]vipa.TakeOwnership),
	}
	if !c.d.HasArg("alone") {
		s.stacks[name].Step(vipa.Gathered{})
	}
}

// step lets one stack take an event and prints what came of it.
func (s *script) step(name string, ev vipa.Event) string {
	stack := s.stacks[name]
	result := stack.Step(ev)
	var out strings.Builder
	for _, a := range result.Actions {
		stack.tables.Apply(a)
		if take, ok := a.(vipa.TakeOwnership); ok {
			stack.takes[take.DVIPA] = take
		}
		if leave, ok := a.(vipa.LeaveOwnership); ok {
			delete(stack.takes, leave.DVIPA)
		}
		s.post(name, a)
		fmt.Fprintln(&out, s.action(a))
	}
	out.WriteString(s.trace(result.Trace))
	if !s.asked {
		out.WriteString(s.take(name))
	}
	return out.String()
}

// post keeps a message for deliver where its receiver is a stack of the script.
func (s *script) post(from string, a vipa.Action) {
	send, ok := a.(vipa.Send)
	if !ok {
		return
	}
	for _, m := range s.stacks[from].Members() {
		to := m.Member.Stack
		if s.stacks[to] != nil && (!send.To.IsValid() || send.To == m.Member.XCF) {
			s.queue = append(s.queue, posted{from: from, to: to, message: send.Message})
		}
	}
}

func (s *script) deliver() string {
	var out strings.Builder
	for len(s.queue) > 0 {
		p := s.queue[0]
		s.queue = s.queue[1:]
		fmt.Fprintf(&out, "%s -> %s: %s\n", p.from, p.to, p.message.Kind())
		result := s.step(p.to, vipa.MessageReceived{From: s.members[p.from], Message: p.message})
		for line := range strings.Lines(result) {
			out.WriteString("  " + line)
		}
	}
	return out.String()
}

func (s *script) packet(c *command) string {
	flags := c.word(3)
	decision, trace := s.stacks[c.word(0)].tables.Route(vipa.Packet{
		Connection: contract.Connection{Remote: c.socket(c.word(1)), Local: c.socket(c.word(2))},
		SYN:        strings.Contains(flags, "S"),
		ACK:        strings.Contains(flags, "A"),
	})
	verdict := "conventional"
	switch {
	case decision.Local:
		verdict = "local"
	case decision.Forward.IsValid():
		verdict = "forward " + s.name(decision.Forward)
	}
	return verdict + "\n" + s.trace(trace)
}

// command reads the arguments and lines of one directive.
type command struct {
	t      *testing.T
	d      *datadriven.TestData
	script *script
}

// word returns the i-th argument without a value.
func (c *command) word(i int) string {
	c.t.Helper()
	words := c.words()
	if i >= len(words) {
		c.t.Fatalf("%s: %s needs more arguments", c.d.Pos, c.d.Cmd)
	}
	return words[i]
}

// optional is word, or without where there is none.
func (c *command) optional(i int, without string) string {
	if words := c.words(); i < len(words) {
		return words[i]
	}
	return without
}

// words are the arguments without a value.
func (c *command) words() []string {
	var words []string
	for _, arg := range c.d.CmdArgs {
		if len(arg.Vals) == 0 {
			words = append(words, arg.Key)
		}
	}
	return words
}

func (c *command) values(key string) []string {
	arg, _ := c.d.Arg(key)
	return arg.Vals
}

func (c *command) value(key string) string { return strings.Join(c.values(key), ",") }

func (c *command) number(key string, without uint64) uint64 {
	c.t.Helper()
	if !c.d.HasArg(key) {
		return without
	}
	return c.parse(c.value(key))
}

func (c *command) parse(text string) uint64 {
	c.t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		c.t.Fatalf("%s: %v", c.d.Pos, err)
	}
	return n
}

func (c *command) lines() [][]string {
	var lines [][]string
	for line := range strings.Lines(c.d.Input) {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, words)
		}
	}
	return lines
}

func (c *command) address(text string) netip.Addr {
	c.t.Helper()
	if a, ok := c.script.symbols[text]; ok {
		return a
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		c.t.Fatalf("%s: %v", c.d.Pos, err)
	}
	return a
}

// socket reads ADDRESS:PORT, or "-" for nothing; IPv6 addresses in brackets.
func (c *command) socket(text string) netip.AddrPort {
	c.t.Helper()
	if text == "-" {
		return netip.AddrPort{}
	}
	i := strings.LastIndex(text, ":")
	if i < 0 {
		c.t.Fatalf("%s: no port in %q", c.d.Pos, text)
	}
	address := strings.Trim(text[:i], "[]")
	return netip.AddrPortFrom(c.address(address), uint16(c.parse(text[i+1:])))
}

func (c *command) prefix(text string) netip.Prefix {
	c.t.Helper()
	address, length, _ := strings.Cut(text, "/")
	return netip.PrefixFrom(c.address(address), int(c.parse(length)))
}

func (c *command) connection(words []string) contract.Connection {
	return contract.Connection{Remote: c.socket(words[0]), Local: c.socket(words[1])}
}

func (c *command) connections() []contract.Connection {
	var all []contract.Connection
	for _, words := range c.lines() {
		all = append(all, c.connection(words))
	}
	return all
}

// member reads who joins, and remembers a scripted partner.
func (c *command) member() contract.Member {
	name := c.word(1)
	m := c.script.members[name]
	if c.d.HasArg("xcf") {
		m = contract.Member{Stack: name, XCF: c.address(c.value("xcf")), Incarnation: 1, Outside: c.d.HasArg("outside")}
	}
	m.Incarnation = c.number("inc", m.Incarnation)
	c.script.members[name] = m
	return m
}

// changes prints what a definition would change.
func (s *script) changes(c *command) string {
	var out strings.Builder
	for _, change := range s.stacks[c.word(0)].Changes(c.definition()) {
		mark := " "
		if change.Conflict {
			mark = "!"
		}
		fmt.Fprintf(&out, "%s %s: %s\n", mark, change.Subject, change.Text)
	}
	return out.String()
}
