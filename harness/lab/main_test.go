package lab_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

// TestMain lets this binary be every program that a lab needs: its first argument, which
// `go test` never gives, says which.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "supervise":
		os.Exit(lab.Supervise())
	case "tiny-stack":
		exitWith(tinyStack(os.Args[2:]))
	case "tiny-launcher":
		exitWith(tinyLauncher(os.Args[2:]))
	case "server":
		exitWith(server(os.Args[2:]))
	case "daemon":
		exitWith(exec.Command("/proc/self/exe", "server", os.Args[2]).Start())
	case "orphans":
		exitWith(orphans())
	case "client":
		exitWith(client(os.Args[2:]))
	case "attach":
		exitWith(attach(os.Args[2:]))
	default:
		os.Exit(m.Run())
	}
}

// exitWith ends a program of this binary.
func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
