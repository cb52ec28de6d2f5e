// Command puppet is the program of the suites that does with sockets what standard input says (package puppet). Specs
// start many, so it has nothing in it that is slow to start: that is why it is no command of plexlab.
package main

import (
	"fmt"
	"os"

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
	if err := puppet.Run(os.Stdin, os.Stdout, puppet.Config{Inherited: inherited, Child: child}); err != nil {
		fmt.Fprintln(os.Stderr, "puppet:", err)
		os.Exit(1)
	}
}
