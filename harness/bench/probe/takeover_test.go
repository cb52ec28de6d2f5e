package probe_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/bench/probe"
)

func TestTalkIsEchoed(t *testing.T) {
	address := freePort(t)
	if answer := start(t, probe.Echo)("serve " + address); answer.Error != "" {
		t.Fatal(answer.Error)
	}
	talker := start(t, probe.Talker)
	const stay = 5
	for _, command := range []string{fmt.Sprintf("talk %s %d 500", address, stay), "mark"} {
		if answer := talker(command); answer.Error != "" {
			t.Fatal(answer.Error)
		}
	}
	answer := talker("end")
	if answer.Error != "" || answer.Talk == nil {
		t.Fatalf("end: got %+v, want what became of the connections", answer)
	}
	talk := *answer.Talk
	if talk.Connections < stay || len(talk.Waits) != talk.Connections || len(talk.Failures) != 0 {
		t.Errorf("got %d connections, %d waits, failures %v; want %d or more, as many, none", talk.Connections, len(talk.Waits), talk.Failures, stay)
	}
	longest := slices.MaxFunc(talk.Waits, func(a, b probe.Wait) int { return cmp.Compare(a.RTO, b.RTO) })
	if longest.RTO <= 0 || talk.Usual <= 0 {
		t.Errorf("got an RTO of %d ns and a usual wait of %d ns, want both above zero", longest.RTO, talk.Usual)
	}
}

func TestTalkToNobodyFails(t *testing.T) {
	talker := start(t, probe.Talker)
	if answer := talker(fmt.Sprintf("talk %s 3 0", freePort(t))); answer.Error != "" {
		t.Fatal(answer.Error)
	}
	talk := talker("end").Talk
	if talk == nil || talk.Connections != 0 || talk.Failures["connect: connection refused"] != 3 {
		t.Errorf("got %+v, want 3 connections refused", talk)
	}
}

func TestTakeoverCommandsThatAreWrong(t *testing.T) {
	echo, talker, pulse := start(t, probe.Echo), start(t, probe.Talker), start(t, probe.Pulse)
	for _, row := range []struct {
		program func(string) probe.Answer
		command string
	}{
		{echo, "listen 127.0.0.1:0"},
		{echo, "serve nowhere"},
		{talker, "mark"},
		{talker, "end"},
		{talker, "talk nowhere 1 1"},
		{talker, "talk 127.0.0.1:1 some 1"},
		{talker, "talk 127.0.0.1:1 1 some"},
		{pulse, "end"},
		{pulse, "begin 192.0.2.0/24"},
		{pulse, "begin nowhere 192.0.2.1:80"},
		{pulse, "begin 192.0.2.0/24 nowhere"},
		{pulse, "begin 2001:db8::/64 192.0.2.1:80"},
	} {
		if answer := row.program(row.command); answer.Error == "" {
			t.Errorf("%q was carried out", row.command)
		}
	}
}
