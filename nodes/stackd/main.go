// Command stackd is the reference implementation of a communication protocol stack with
// the VIPA distribution function. `stackd run` is the stack; `stackd exec` launches an
// application so that the stack sees what it binds and listens on; `stackd claim` is for
// measurements of the port file.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "devel"

func main() {
	root := &cobra.Command{
		Use:           "stackd",
		Short:         "the reference communication protocol stack of plexlab",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), execCommand(), claimCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "stackd:", err)
		os.Exit(1)
	}
}
