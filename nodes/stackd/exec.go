package main

import (
	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/nodes/sockets"
)

// brokerPath is where the broker listens, beside the control socket.
func brokerPath(controlPath string) string { return controlPath + ".broker" }

// routingDir is where the routing daemon has its files, beside the control socket: birdc -s DIR/bird.ctl.
func routingDir(controlPath string) string { return controlPath + ".routing" }

// execCommand is the launcher: it becomes the application, whose bind, listen and connect
// calls then go through the stack.
func execCommand() *cobra.Command {
	var controlPath, application string
	cmd := &cobra.Command{
		Use:   "exec --control SOCKET [--app NAME] -- COMMAND [ARGUMENT...]",
		Short: "run an application so that the stack sees its sockets",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, argv []string) error {
			return sockets.Launcher{Broker: brokerPath(controlPath), Application: application, Argv: argv}.Launch()
		},
	}
	cmd.Flags().StringVar(&controlPath, "control", "", "control socket of the stack")
	cmd.Flags().StringVar(&application, "app", "", "name of the application, inherited by its children")
	cmd.MarkFlagRequired("control")
	return cmd
}
