package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/plexlab/machine"
)

// checkLimit bounds the trials of check: the kernel answers each within milliseconds.
const checkLimit = 20 * time.Second

func newCheck(io streams) *cobra.Command {
	var asJSON, inside bool
	command := &cobra.Command{
		Use: "check", Short: "Say whether this machine can run a laboratory, and what it lacks", GroupID: groupFile,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if inside {
				return machine.Inside(io.out)
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program itself: %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), checkLimit)
			defer cancel()
			features, err := machine.Check(ctx, []string{self, "check", "--inside"})
			if asJSON {
				return errors.Join(err, printJSON(io.out, features))
			}
			for _, f := range features {
				if f.Missing == "" {
					fmt.Fprintf(io.out, "there    %s (for %s)\n", f.Name, f.Use)
				} else {
					fmt.Fprintf(io.out, "MISSING  %s (for %s): %s\n", f.Name, f.Use, f.Missing)
				}
			}
			return err
		},
	}
	addJSON(command, &asJSON)
	command.Flags().BoolVar(&inside, "inside", false, "try the features in the namespaces of this process")
	_ = command.Flags().MarkHidden("inside") // fails for an unknown flag only
	return command
}
