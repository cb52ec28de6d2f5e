package sysctl

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What Set has set is what the kernel says, in the namespace of the thread.
func TestSet(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	runtime.LockOSThread() // and ends with the test, and with it its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"0", "1", "1", "0"} {
		if err := Set("net/ipv4/ip_forward", value); err != nil {
			t.Fatalf("set to %s: %v", value, err)
		}
		now, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err != nil || strings.TrimSpace(string(now)) != value {
			t.Errorf("after setting to %s: got %q, %v", value, now, err)
		}
	}
}

// A setting that the kernel lacks is told as such, and one that may not be written is left alone where it has its value.
func TestSetRefused(t *testing.T) {
	if err := Set("net/ipv4/no_such_setting", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("set what is not there: got %v, want %v", err, os.ErrNotExist)
	}
	const readOnly = "kernel/ostype"
	if err := Set(readOnly, "Linux"); err != nil {
		t.Errorf("set a setting that cannot be written to what it is: %v", err)
	}
	if err := Set(readOnly, "Multics"); !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EROFS) {
		t.Errorf("set a setting that cannot be written: got %v, want %v", err, unix.EACCES)
	}
}
