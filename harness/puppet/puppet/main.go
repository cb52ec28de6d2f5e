// Command puppet is the program of the suites that does with sockets what standard input says (package puppet). Specs
// start many, so it has nothing in it that is slow to start: that is why it is no command of plexlab.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/puppet"
)

// asChild is the argument by which a puppet becomes a child, before the names of the sockets that it was started with.
const asChild = "child"

func main() {
	var inherited []string
	if len(os.Args) > 1 && os.Args[1] == asChild {
		inherited = append([]string{}, os.Args[2:]...)
	}
	child := func(sockets []string) []string { return append([]string{"/proc/self/exe", asChild}, sockets...) }
	// Orders are waited for in the poller: while a thread waits in a system call the runtime looks after it each 20 µs at
	// first, which cost a third of what puppets do. Of what cannot be polled, reading blocks as before.
	_ = unix.SetNonblock(unix.Stdin, true)
	if err := puppet.Run(os.NewFile(uintptr(unix.Stdin), "orders"), os.Stdout, puppet.Config{Inherited: inherited, Child: child}); err != nil {
		fmt.Fprintln(os.Stderr, "puppet:", err)
		os.Exit(1)
	}
}
