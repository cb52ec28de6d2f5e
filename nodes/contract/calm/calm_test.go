package calm

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMonitor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the timer slack of another thread is changed")
	}
	if err := Monitor(); err != nil {
		t.Fatal(err)
	}
	thread, err := MonitorThread()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(slackOf(thread))
	if err != nil {
		t.Fatal(err)
	}
	found, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || time.Duration(found) != slack {
		t.Errorf("timer slack %q of the monitor thread, want %v", text, slack)
	}
}
