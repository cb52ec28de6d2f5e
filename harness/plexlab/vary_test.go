package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// varied answers POST /v1/vary as a stack on which port 99 cannot be quiesced.
func varied(w http.ResponseWriter, r *http.Request) {
	var request control.VaryRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if request.Target.Port == 99 {
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(control.Problem{Error: "port 99 is quiesced already"})
		return
	}
	_ = json.NewEncoder(w).Encode(control.VaryAnswer{Text: string(request.Command) + " of " + request.Target.String()})
}

func TestVary(t *testing.T) {
	bringUp(t)
	for _, s := range []step{
		{[]string{"vary", "mvs1", "quiesce"}, exitDone, []string{"MVS1: quiesce of the stack\n"}, nil},
		{[]string{"vary", "MVS1", "QUIESCE", "60"}, exitDone, []string{"quiesce of port 60\n"}, nil},
		{[]string{"vary", "MVS1", "resume", "DVA1:60"}, exitDone, []string{"resume of port 192.168.44.10:60\n"}, nil},
		{[]string{"vary", "MVS1", "resume", "[2001:db8::1]:60"}, exitDone, []string{"resume of port [2001:db8::1]:60\n"}, nil},
		{[]string{"vary", "MVS1", "quiesce", "appa"}, exitDone, []string{"quiesce of application appa\n"}, nil},
		{[]string{"vary", "MVS1", "deactivate", "dva1"}, exitDone, []string{"deactivate of 192.168.44.10\n"}, nil},
		{[]string{"vary", "MVS1", "reactivate", "2001:db8::1"}, exitDone, []string{"reactivate of 2001:db8::1\n"}, nil},
		{[]string{"vary", "MVS1", "leavegroup", "--json"}, exitDone, []string{`"text": "leavegroup of the stack"`}, nil},
		{[]string{"vary", "MVS1", "joingroup"}, exitDone, []string{"joingroup"}, nil},

		{[]string{"vary", "MVS1", "quiesce", "99"}, exitFailed, nil, []string{"stack MVS1: POST /v1/vary: status 409: port 99 is quiesced already"}},
		{[]string{"vary", "MVS1", "stop"}, exitUsage, nil, []string{`command "stop": expected one of [quiesce`}},
		{[]string{"vary", "MVS1", "deactivate"}, exitUsage, nil, []string{"deactivate takes a DVIPA"}},
		{[]string{"vary", "MVS1", "quiesce", "DVA1"}, exitUsage, nil, []string{"use deactivate"}},
		{[]string{"vary", "MVS1", "quiesce", "65536"}, exitUsage, nil, []string{"port 65536: expected 1 to 65535"}},
		{[]string{"vary", "MVS1", "quiesce", "DVA9:60"}, exitUsage, nil, []string{`target "DVA9:60": expected a DVIPA or a symbol`, "symbols are DVA1"}},
		{[]string{"vary", "MVS1", "deactivate", "DVA9"}, exitUsage, nil, []string{"deactivate DVA9: expected a DVIPA", "symbols are DVA1"}},
		{[]string{"vary", "MVS1", "reactivate", "60"}, exitUsage, nil, []string{"reactivate 60: expected a DVIPA"}},
		{[]string{"vary", "MVS1", "quiesce", "DVA1:0"}, exitUsage, nil, []string{"a port from 1 to 65535"}},
		{[]string{"vary", "MVS1", "quiesce", "LONGERNAM"}, exitUsage, nil, []string{`target "LONGERNAM": no port and no DVIPA`}},
		{[]string{"vary", "MVS1"}, exitUsage, nil, []string{"vary takes STACK COMMAND [TARGET]"}},
		{[]string{"vary", "CLIENT", "quiesce"}, exitNotFound, nil, []string{"no stack CLIENT"}},
		{[]string{"fault", "kill", "MVS1"}, exitDone, nil, nil},
		{[]string{"vary", "MVS1", "quiesce"}, exitFailed, nil, []string{"stack MVS1: the stack does not run"}},
	} {
		s.take(t)
	}
}

func TestVaryHelpNamesEveryCommand(t *testing.T) {
	_, out, _ := invoke(t, "vary", "--help")
	for _, command := range control.VaryCommands() {
		if !strings.Contains(out, "\n  "+string(command)+" ") {
			t.Errorf("the help does not explain %s:\n%s", command, out)
		}
	}
}
