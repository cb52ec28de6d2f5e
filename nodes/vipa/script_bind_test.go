package vipa_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// kernelPort is what the kernel of a script chooses for port 0.
const kernelPort = 40000

var outcomes = map[string]vipa.Outcome{
	"": vipa.OutcomeDone, "done": vipa.OutcomeDone, "in-use": vipa.OutcomeInUse,
	"no-address": vipa.OutcomeNoAddress, "failed": vipa.OutcomeFailed,
}

// bind takes one bind through Figure 15, and what comes of it to its stack.
func (s *script) bind(c *command, bind *vipa.Bind) string {
	name := c.word(0)
	stack := s.stacks[name]
	var out strings.Builder
	kernel, cf := c.values("kernel"), c.value("cf")
	b := &binding{
		cf: s.cf, holder: s.members[name].XCF, down: cf == "lookup",
		note: func(step vipa.Step) { fmt.Fprintln(&out, s.stepOf(step)) },
		activate: func(a vipa.ActivateRange) vipa.Answer {
			if result := s.step(name, vipa.BindInRange(a)); result != "" {
				for line := range strings.Lines(result) {
					out.WriteString("  " + line)
				}
			}
			if !stack.Addresses().Active(a.DVIPA) {
				return vipa.Answer{Outcome: vipa.OutcomeNoAddress}
			}
			return vipa.Answer{}
		},
		kernel: func(p vipa.Perform) vipa.Answer {
			said := "done"
			if len(kernel) > 0 {
				said, kernel = kernel[0], kernel[1:]
			}
			outcome, ok := outcomes[said]
			if !ok {
				c.t.Fatalf("%s: unknown outcome %q", c.d.Pos, said)
			}
			if outcome != vipa.OutcomeDone {
				return vipa.Answer{Outcome: outcome}
			}
			port := p.Address.Port()
			if port == 0 {
				port = kernelPort
			}
			return vipa.Answer{Port: port}
		},
		commit: func() vipa.Outcome {
			if cf == "commit" {
				return vipa.OutcomeFailed
			}
			return vipa.OutcomeDone
		},
	}
	last := b.run(bind)
	trace := s.trace(bind.Trace())
	if done, ok := last.(vipa.Done); ok && done.Bound.Local.IsValid() {
		done.Bound.ID, done.Bound.NeverConnected = c.number("id", 0), c.d.HasArg("never-connected")
		out.WriteString(s.step(name, done.Bound))
	}
	return out.String() + trace
}

// source chooses the source of a connection, and with id= binds a socket to it.
func (s *script) source(c *command) string {
	addresses := s.stacks[c.word(0)].Addresses()
	dvipa, ok := addresses.Source(c.word(1), c.address(c.word(2)))
	if !ok {
		return "none\n"
	}
	out := "from " + s.name(dvipa) + "\n"
	if c.d.HasArg("id") {
		out += s.bind(c, addresses.BindSource(dvipa))
	}
	return out
}

func (s *script) stepOf(step vipa.Step) string {
	switch step := step.(type) {
	case vipa.LookUpPort:
		line := fmt.Sprintf("look up %s %s", s.socket(netip.AddrPortFrom(step.DVIPA, step.Port)), step.Use)
		for _, r := range step.Avoid {
			line += fmt.Sprintf(" not %d", r.First)
			if r.Last != r.First {
				line += fmt.Sprintf("-%d", r.Last)
			}
		}
		return line
	case vipa.ActivateRange:
		return "activate-range " + s.name(step.DVIPA)
	case vipa.Perform:
		return "perform " + s.socket(step.Address)
	case vipa.Commit:
		return "commit"
	case vipa.Abort:
		return "abort"
	case vipa.Reject:
		return "reject " + [...]string{"done", "in-use", "no-address", "failed"}[step.Because]
	case vipa.Done:
		if !step.Bound.Local.IsValid() {
			return "done"
		}
		line := fmt.Sprintf("done %s %s", s.socket(step.Bound.Local), step.Bound.Use)
		if step.Bound.Outbound {
			line += " outbound"
		}
		return line
	}
	return fmt.Sprintf("%#v", step)
}

// marked lets the coupling facility answer MarkPorts with the ports named, in PORT:USE form.
func (s *script) marked(c *command) string {
	name, dvipa := c.word(0), c.address(c.word(1))
	uses := map[string]vipa.Use{"shared": vipa.Shared, "unique": vipa.Unique}
	ev := vipa.PortsMarked{DVIPA: dvipa}
	for _, word := range c.words()[2:] {
		number, use, _ := strings.Cut(word, ":")
		held := vipa.PortUse{Port: uint16(c.parse(number)), Use: uses[use]}
		s.cf.commit(netip.AddrPortFrom(dvipa, held.Port), held.Use, s.members[name].XCF)
		ev.Ports = append(ev.Ports, held)
	}
	return s.step(name, ev)
}

// released lets the coupling facility answer ReleasePorts: nothing uses these ports any more.
func (s *script) released(c *command) string {
	name, dvipa := c.word(0), c.address(c.word(1))
	ev := vipa.PortsReleased{DVIPA: dvipa}
	for _, word := range c.words()[2:] {
		number := uint16(c.parse(word))
		s.cf.release(netip.AddrPortFrom(dvipa, number), s.members[name].XCF)
		ev.Ports = append(ev.Ports, number)
	}
	return s.step(name, ev)
}
