package control

import (
	"errors"
	"fmt"
	"net/netip"
)

// VaryRequest is the body of POST /v1/vary: an operator's command.
type VaryRequest struct {
	Command VaryCommand `json:"command"`
	// Target is what the command is about; the zero value is the stack itself.
	Target VaryTarget `json:"target"`
}

// VaryCommand is what an operator asks for.
type VaryCommand string

// The commands. A state that a command made lasts until the opposite one, or the end of the process.
const (
	// VaryQuiesce: no new connections to the stack, a port or an application; those that there are
	// go on.
	VaryQuiesce VaryCommand = "quiesce"
	// VaryResume ends VaryQuiesce of the same target.
	VaryResume VaryCommand = "resume"
	// VaryDeactivate: the stack neither owns the DVIPA nor backs it up; a backup takes it over.
	VaryDeactivate VaryCommand = "deactivate"
	// VaryReactivate ends VaryDeactivate: a primary takes the DVIPA back.
	VaryReactivate VaryCommand = "reactivate"
	// VaryLeaveGroup: the stack gives up its DVIPAs and leaves the XCF group in order; its process,
	// its applications and its definitions stay.
	VaryLeaveGroup VaryCommand = "leavegroup"
	// VaryJoinGroup ends VaryLeaveGroup.
	VaryJoinGroup VaryCommand = "joingroup"
)

// VaryCommands lists all of them.
func VaryCommands() []VaryCommand {
	return []VaryCommand{VaryQuiesce, VaryResume, VaryDeactivate, VaryReactivate, VaryLeaveGroup, VaryJoinGroup}
}

// VaryTarget is what a command is about: quiesce and resume take the stack (all zero), Port, Port with
// DVIPA, or Application; deactivate and reactivate take DVIPA; leavegroup and joingroup the stack.
type VaryTarget struct {
	DVIPA netip.Addr `json:"dvipa,omitzero"`
	// Port is 1 to 65535, of every DVIPA unless DVIPA names one.
	Port uint16 `json:"port,omitempty"`
	// Application is the name that the launcher gave, in any case.
	Application string `json:"application,omitempty"`
}

// VaryAnswer says what was done. A stack that cannot do it answers 409 with a Problem.
type VaryAnswer struct {
	// Text is what is so now, in words for a person.
	Text string `json:"text"`
}

// Check says what is wrong with the form of a request, or is nil.
func (r VaryRequest) Check() error {
	port, named := r.Target.Port != 0, r.Target.Application != ""
	switch r.Command {
	case VaryQuiesce, VaryResume:
		switch {
		case port && named:
			return fmt.Errorf("%s takes a port or an application, not both", r.Command)
		case r.Target.DVIPA.IsValid() && !port:
			return fmt.Errorf("%s takes a DVIPA together with a port only; to give up a DVIPA, use %s", r.Command, VaryDeactivate)
		}
	case VaryDeactivate, VaryReactivate:
		if !r.Target.DVIPA.IsValid() || port || named {
			return fmt.Errorf("%s takes a DVIPA, and nothing else", r.Command)
		}
	case VaryLeaveGroup, VaryJoinGroup:
		if r.Target != (VaryTarget{}) {
			return fmt.Errorf("%s is about the stack, it takes no target", r.Command)
		}
	case "":
		return errors.New("the command is missing")
	default:
		return fmt.Errorf("command %.40q: expected one of %v", r.Command, VaryCommands())
	}
	return nil
}

// String is the target in words.
func (t VaryTarget) String() string {
	switch {
	case t.Application != "":
		return "application " + t.Application
	case t.Port != 0 && t.DVIPA.IsValid():
		return "port " + netip.AddrPortFrom(t.DVIPA, t.Port).String()
	case t.Port != 0:
		return fmt.Sprintf("port %d", t.Port)
	case t.DVIPA.IsValid():
		return t.DVIPA.String()
	}
	return "the stack"
}
