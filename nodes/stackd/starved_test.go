package main

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A process that would run is starved, one that is stopped or sleeps is not.
func TestStarved(t *testing.T) {
	t.Parallel()
	busy := startShell(t, "while :; do :; done").Process
	becomesStarved(t, "busy", busy.Pid, true)
	if err := busy.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	becomesStarved(t, "stopped", busy.Pid, false)
	becomesStarved(t, "asleep", startShell(t, "read nothing").Process.Pid, false)
	if starved(0) {
		t.Error("nobody is starved")
	}
}

// startShell runs a text in a shell until the test ends.
func startShell(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", "echo; "+text)
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	// Until it has said something it waits for the disk now and then.
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return command
}

func becomesStarved(t *testing.T, what string, pid int, want bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); starved(pid) != want; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: starved is %v for 5s, want %v", what, !want, want)
		}
	}
}
