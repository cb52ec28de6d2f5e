package suites

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// guarding waits for the end of standard input, takes the directory $0 away and ends everybody in the process group, itself
// included. A signal of the keyboard is for the others.
const guarding = `trap "" HUP INT TERM; read -r end; rm -rf "$0"; kill -KILL 0`

// A guard is a process, in a process group of its own, that holds the other end of a pipe. What joins the group ends with the guard,
// at the latest when this process ends, however it does. Laboratories leave the group; they end with their clients.
type guard struct {
	process  *exec.Cmd
	lifeline *os.File
}

// newGuard starts the guard of a group; place is a directory that goes with it.
func newGuard(place string) (*guard, error) {
	watched, lifeline, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	defer watched.Close()
	g := &guard{process: exec.Command("sh", "-c", guarding, place), lifeline: lifeline}
	g.process.Stdin = watched
	g.process.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := g.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the guard: %w", err), lifeline.Close())
	}
	return g, nil
}

// join lets a command begin in the group.
func (g *guard) join(command *exec.Cmd) {
	command.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pgid: g.process.Process.Pid}
}

// interrupt does to the group what the keyboard does.
func (g *guard) interrupt() error { return unix.Kill(-g.process.Process.Pid, unix.SIGINT) }

// end ends what is left of the group.
func (g *guard) end() {
	g.lifeline.Close()
	_ = g.process.Wait() // it has killed itself
}
