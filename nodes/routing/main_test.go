package routing

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inUserNamespace marks the copy of the test binary that runs as root of a user namespace.
const inUserNamespace = "ROUTING_TEST_IN_USERNS"

// TestMain runs the tests of an unprivileged user once more as root of a user namespace. With
// the argument "stack", which go test never gives, the binary is a process that has a Daemon.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "stack" {
		stack(os.Args[2])
		return
	}
	if os.Geteuid() == 0 || os.Getenv(inUserNamespace) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inUserNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "tests in a user namespace:", err)
		os.Exit(1)
	}
}

// stack opens a Daemon in this process's namespace, prints the number of BIRD, and waits for SIGTERM.
func stack(dir string) {
	d, err := Open(Config{Protocol: OSPF, Interfaces: []string{"ext0"}, RouterID: routerID(1), Dir: dir, Log: quiet()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	fmt.Println(d.pid())
	<-terminate
	if err := d.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
