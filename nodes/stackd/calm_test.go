package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCalmMonitor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the timer slack of another thread is changed")
	}
	if err := calmMonitor(); err != nil {
		t.Fatal(err)
	}
	thread, err := monitorThread()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(slackOf(thread))
	if err != nil {
		t.Fatal(err)
	}
	slack, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || time.Duration(slack) != monitorSlack {
		t.Errorf("timer slack %q of the monitor thread, want %v", text, monitorSlack)
	}
}
