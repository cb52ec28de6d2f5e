package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func newVersion(io streams) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "version", Short: "Say which plexlab, which Go and which kernel", GroupID: groupFile,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			kernel, err := kernelRelease()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(io.out, map[string]string{
					"version": version, "go": runtime.Version(), "kernel": kernel,
				})
			}
			fmt.Fprintf(io.out, "plexlab %s, %s, Linux %s\n", version, runtime.Version(), kernel)
			return nil
		},
	}
	addJSON(command, &asJSON)
	return command
}

// kernelRelease is the release of the running kernel, as uname -r has it.
func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("ask for the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
