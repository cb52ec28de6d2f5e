package probe_test

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/bench/probe"
)

// start runs a program of the package and returns a function that gives it one command.
func start(t *testing.T, program func(io.Reader, io.Writer) error) func(string) probe.Answer {
	t.Helper()
	in, commands := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- program(in, out) }()
	t.Cleanup(func() {
		commands.Close()
		if err := <-ended; err != nil {
			t.Errorf("the program ended with %v", err)
		}
	})
	decoder := json.NewDecoder(answers)
	return func(command string) (answer probe.Answer) {
		t.Helper()
		if _, err := io.WriteString(commands, command+"\n"); err != nil {
			t.Fatal(err)
		}
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// freePort returns an address on the loopback at which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestKnocksAreRefusedUntilListenAndAfterClose(t *testing.T) {
	for _, end := range []string{"close", "shutdown"} {
		t.Run(end, func(t *testing.T) {
			listener, knocker := start(t, probe.Listener), start(t, probe.Knocker)
			address := freePort(t)

			let := make(chan probe.Answer, 1)
			go func() { let <- knocker("knock " + address) }()
			listening := listener("listen " + address)
			in := <-let
			if listening.Error != "" || in.Error != "" {
				t.Fatalf("listen: %q, knock: %q", listening.Error, in.Error)
			}
			if in.Ended < listening.Began {
				t.Errorf("let in at %d, before listen() began at %d", in.Ended, listening.Began)
			}
			if answer := listener(end); answer.Error != "" || answer.Began < in.Ended || answer.Ended < answer.Began {
				t.Errorf("%s: %+v", end, answer)
			}
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				t.Errorf("let in after %s", end)
			}
		})
	}
}

func TestCommandsThatCannotBeCarriedOut(t *testing.T) {
	listener, knocker := start(t, probe.Listener), start(t, probe.Knocker)
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct {
		give    func(string) probe.Answer
		command string
		want    string
	}{
		{listener, "close", "close: no socket listens"},
		{listener, "listen", "listen: the address is missing"},
		{listener, "listen nowhere", "listen: "},
		{listener, "listen 127.0.0.1:0 loudly", `bind 127.0.0.1:0: unknown option "loudly"`},
		{listener, "listen 127.0.0.1:0 v6only", "bind 127.0.0.1:0: v6only: "},
		{listener, "listen " + taken.Addr().String(), "bind " + taken.Addr().String() + ": address already in use"},
		{knocker, "knock", `unknown command "knock"`},
		{knocker, "knock 1", "knock: "},
		{knocker, "half-open x 127.0.0.1:1", "half-open: "},
	} {
		if got := row.give(row.command); !strings.HasPrefix(got.Error, row.want) {
			t.Errorf("%s: got error %q, want %q", row.command, got.Error, row.want)
		}
	}
}

func TestASharedPortTakesTwoListeners(t *testing.T) {
	address := freePort(t)
	for range 2 {
		listener := start(t, probe.Listener)
		if answer := listener("listen " + address + " shared"); answer.Error != "" {
			t.Error(answer.Error)
		}
	}
	if answer := start(t, probe.Listener)("listen " + address); answer.Error == "" {
		t.Error("a port that is shared was given to a listener that does not share")
	}
}
