package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

func newExec(io streams) *cobra.Command {
	var (
		chosen      choice
		application string
	)
	command := &cobra.Command{
		Use: "exec [flags] NODE -- COMMAND [ARGUMENT...]", Short: "Run a command on a node", GroupID: groupLab,
		Long: `Runs a command on a stack, a router or a host, with the input, output and errors of this one,
and ends with its status, or 128 plus the signal that ended it. With --app it runs through the
launcher of the stack's implementation, as applications do, so that the stack sees its sockets at
once; without, the stack finds them by looking. The command ends when this one does.`,
		Example: `  plexlab exec CLIENT -- curl -s http://192.168.44.10:60/
  plexlab exec --app BULK MVS2 -- iperf3 --server --bind 192.168.44.10 --port 8000`,
		DisableFlagsInUseLine: true,
		Args:                  cobra.MinimumNArgs(2),
		ValidArgsFunction:     completeArguments(&chosen, nodes, anyFile),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := chosen.attach()
			if err != nil {
				return err
			}
			defer l.Close()
			node, err := findNode(cmd.Context(), l, args[0])
			if err != nil {
				return err
			}
			return execute(cmd.Context(), l, node.Name, lab.ExecSpec{
				Argv: args[1:], Application: application, Stdin: io.in, Stdout: io.out, Stderr: io.err,
			})
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("exec: %w; put -- before the command", err)
	})
	command.Flags().StringVar(&application, "app", "", "run it through the launcher, as the application `NAME`")
	chosen.addFlag(command)
	return command
}

// forwarded are the signals that go to the command, which is in a session of its own.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// execute runs a process to its end and makes its status an error. Signals are passed on; the
// process decides what they mean.
func execute(ctx context.Context, l *lab.Lab, node string, spec lab.ExecSpec) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	ctx = context.WithoutCancel(ctx) // which SIGINT and SIGTERM end

	process, err := l.Start(ctx, node, spec)
	if err != nil {
		return err
	}
	defer process.Close()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case received := <-signals:
				// One that has ended meanwhile needs no signal.
				_ = process.Signal(received.(unix.Signal))
			case <-ended:
				return
			}
		}
	}()
	exited, err := process.Wait(ctx)
	switch {
	case err != nil:
		return err
	case exited.Signal != 0:
		return statusError(128 + int(exited.Signal))
	case exited.Code != 0:
		return statusError(exited.Code)
	}
	return nil
}
