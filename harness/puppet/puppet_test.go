package puppet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/puppet"
)

// inheritEnv makes the test binary a child with sockets of these names.
const inheritEnv = "PUPPET_TEST_INHERIT"

func TestMain(m *testing.M) {
	if names, child := os.LookupEnv(inheritEnv); child {
		inherited := append([]string{}, strings.Fields(names)...)
		if err := puppet.Run(os.Stdin, os.Stdout, puppet.Config{Inherited: inherited, Child: again}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	os.Exit(m.Run())
}

func again(names []string) []string {
	return []string{"/usr/bin/env", inheritEnv + "=" + strings.Join(names, " "), os.Args[0]}
}

// start runs a puppet in the test and returns what carries out an order.
func start(t *testing.T) func(order string) puppet.Answer {
	t.Helper()
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- puppet.Run(in, out, puppet.Config{Child: again}) }()
	t.Cleanup(func() {
		orders.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	decoder := json.NewDecoder(answers)
	return func(order string) (answer puppet.Answer) {
		t.Helper()
		if _, err := io.WriteString(orders, order+"\n"); err != nil {
			t.Fatal(err)
		}
		if err := decoder.Decode(&answer); err != nil {
			t.Fatalf("%s: %v", order, err)
		}
		return answer
	}
}

// succeeds carries out orders that have to succeed and returns the last answer.
func succeeds(t *testing.T, order func(string) puppet.Answer, orders ...string) (last puppet.Answer) {
	t.Helper()
	for _, o := range orders {
		last = order(o)
		if last.Errno != 0 || last.Problem != "" {
			t.Fatalf("%s: %+v", o, last)
		}
	}
	return last
}

// open reports whether somebody listens at an address.
func open(address netip.AddrPort) bool {
	c, err := net.Dial("tcp", address.String())
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestConnection(t *testing.T) {
	server, client := start(t), start(t)
	at := succeeds(t, server, "socket l", "bind l 127.0.0.1:0", "listen l").Local
	if at.Port() == 0 {
		t.Fatalf("local %s", at)
	}
	succeeds(t, client, "socket c abortive", "connect c "+at.String(), "send c hello")
	if got := succeeds(t, server, "accept l a", "receive a").Text; got != "hello" {
		t.Errorf("received %q", got)
	}
	succeeds(t, client, "close c")
	if got := server("receive a"); got.Errno != unix.ECONNRESET {
		t.Errorf("after an abortive close: %+v", got)
	}
}

func TestErrnoIsTold(t *testing.T) {
	one, two := start(t), start(t)
	at := succeeds(t, one, "socket a", "bind a 127.0.0.1:0", "listen a").Local
	succeeds(t, two, "socket b")
	if got := two("bind b " + at.String()); got.Errno != unix.EADDRINUSE || got.Began == 0 || got.Ended < got.Began {
		t.Errorf("bind of a taken port: %+v", got)
	}
}

// A socket lives as long as any descriptor of it: a second one, one of a child that was forked with
// it, and one that was handed to a child.
func TestCopies(t *testing.T) {
	order := start(t)
	at := succeeds(t, order, "fork early", "socket a", "bind a 127.0.0.1:0", "listen a").Local
	for _, step := range []string{"dup a b", "close a", "fork late", "close b", "in late dup b a", "in late close b"} {
		succeeds(t, order, step)
		if !open(at) {
			t.Fatalf("nobody listens after %q", step)
		}
	}
	succeeds(t, order, "kill late")
	if open(at) {
		t.Error("somebody listens though the last process has ended")
	}

	at = succeeds(t, order, "socket a", "bind a 127.0.0.1:0", "listen a").Local
	succeeds(t, order, "pass a early", "close a")
	if !open(at) {
		t.Error("nobody listens at a socket that was handed on")
	}
	succeeds(t, order, "in early close a")
	if open(at) {
		t.Error("somebody listens though the last descriptor is closed")
	}
}

func TestOrdersThatCannotBeCarriedOut(t *testing.T) {
	order := start(t)
	succeeds(t, order, "socket a")
	for _, o := range []string{
		"", "listen", "listen b", "socket a", "socket b loud", "bind a nowhere", "bind a", "jump a 127.0.0.1:1",
		"in c listen a", "kill c", "pass a c", "dup a a",
	} {
		if got := order(o); got.Problem == "" {
			t.Errorf("%q: %+v, want a problem", o, got)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	order := start(t)
	if answer := order("wait 3ms"); answer.Problem != "" || answer.Errno != 0 || answer.Ended-answer.Began < 3e6 {
		t.Errorf("wait 3ms: %+v, want 3 ms between beginning and end", answer)
	}
	if answer := order("wait long"); answer.Problem == "" {
		t.Errorf("wait long: %+v, want a problem", answer)
	}
}
