package routing

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// says serves one connection as BIRD does: a greeting, then an answer to whatever is asked.
func says(t *testing.T, answer string) (socket string) {
	t.Helper()
	socket = runDir(t) + ".ctl"
	listener, err := net.Listen("unix", socket)
	check(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "0001 BIRD 2.0.12 ready.\n")
		if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			fmt.Fprint(conn, answer)
		}
	}()
	return socket
}

func TestAnswersOfBIRD(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer string
		words        []string
		failure      string
	}{
		{"one line", "0013 Daemon is up and running\n", []string{"Daemon is up and running"}, ""},
		{"several lines", "0002-Reading configuration from bird.conf\n0003 Reconfigured\n", []string{"Reading configuration from bird.conf", "Reconfigured"}, ""},
		{"continued", "1011-Router ID is 1.2.3.4\n Hostname is here\n0013 up\n", []string{"Router ID is 1.2.3.4", "Hostname is here", "up"}, ""},
		{"refused", "0002-Reading configuration from bird.conf\n8002 bird.conf:5:32 syntax error\n", nil, `bird refused "configure": bird.conf:5:32 syntax error`},
		{"unknown command", "9001 syntax error\n", nil, `bird refused "configure": syntax error`},
		{"cut off", "0002-Reading\n", nil, "EOF"},
		{"no code", "hello there\n", nil, "reply code"},
		{"too short", "00\n", nil, "reply code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			words, err := ask(says(t, c.answer), "configure", time.Second)
			if diff := cmp.Diff(c.words, words); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
			if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.Contains(err.Error(), c.failure)) {
				t.Errorf("error: got %v, want %q in it", err, c.failure)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	if _, err := ask(filepath.Join(t.TempDir(), "none.ctl"), "show status", time.Second); !strings.Contains(fmt.Sprint(err), "reach bird") {
		t.Errorf("no socket: got %v, want an error that says bird is not reached", err)
	}
	silent, err := net.Listen("unix", runDir(t)+".ctl")
	check(t, err)
	defer silent.Close()
	if _, err := ask(silent.Addr().String(), "show status", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: got %v, want a time-out", err)
	}
}

func TestLinesOfBIRD(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"2026-11-28 03:04:12.489 <INFO> Started":                    "INFO Started",
		"2026-11-28 03:04:12.489 <RMT> bfd1: Bad packet":            "WARN bfd1: Bad packet",
		"2026-11-28 03:04:12.489 <ERR> ospf: Socket error <22>: no": "ERROR ospf: Socket error <22>: no",
		"2026-11-28 03:04:12.489 <FATAL> Shutdown completed":        "INFO Shutdown completed",
		"bird: r.conf:6:162 Wait interval must be greater than one": "ERROR r.conf:6:162 Wait interval must be greater than one",
	} {
		level, words := parseLine(line)
		if got := level.String() + " " + words; got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
