package control_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

func TestVaryRequests(t *testing.T) {
	dvipa := netip.MustParseAddr("203.0.113.1")
	for _, c := range []struct {
		command control.VaryCommand
		target  control.VaryTarget
		name    string
		problem string
	}{
		{control.VaryQuiesce, control.VaryTarget{}, "the stack", ""},
		{control.VaryQuiesce, control.VaryTarget{Port: 60}, "port 60", ""},
		{control.VaryResume, control.VaryTarget{Port: 60, DVIPA: dvipa}, "port 203.0.113.1:60", ""},
		{control.VaryResume, control.VaryTarget{Application: "APPA"}, "application APPA", ""},
		{control.VaryDeactivate, control.VaryTarget{DVIPA: dvipa}, "203.0.113.1", ""},
		{control.VaryReactivate, control.VaryTarget{DVIPA: dvipa}, "203.0.113.1", ""},
		{control.VaryLeaveGroup, control.VaryTarget{}, "the stack", ""},
		{control.VaryJoinGroup, control.VaryTarget{}, "the stack", ""},
		{control.VaryQuiesce, control.VaryTarget{Port: 60, Application: "APPA"}, "application APPA", "a port or an application, not both"},
		{control.VaryQuiesce, control.VaryTarget{DVIPA: dvipa}, "203.0.113.1", "use deactivate"},
		{control.VaryDeactivate, control.VaryTarget{}, "the stack", "deactivate takes a DVIPA"},
		{control.VaryDeactivate, control.VaryTarget{DVIPA: dvipa, Port: 60}, "port 203.0.113.1:60", "and nothing else"},
		{control.VaryReactivate, control.VaryTarget{DVIPA: dvipa, Application: "A"}, "application A", "and nothing else"},
		{control.VaryLeaveGroup, control.VaryTarget{Port: 60}, "port 60", "it takes no target"},
		{"", control.VaryTarget{}, "the stack", "the command is missing"},
		{"stop", control.VaryTarget{}, "the stack", `command "stop": expected one of [quiesce resume`},
	} {
		request := control.VaryRequest{Command: c.command, Target: c.target}
		err := request.Check()
		if got := request.Target.String(); got != c.name {
			t.Errorf("%+v: %q, want %q", c.target, got, c.name)
		}
		switch {
		case c.problem == "" && err != nil:
			t.Errorf("%+v: %v", request, err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%+v: got %v, want %q", request, err, c.problem)
		}
	}
}
