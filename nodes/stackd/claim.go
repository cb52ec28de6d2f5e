package main

import (
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/cf/claimer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	conversation "github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// claimCommand is the claimer: the port file's share of a stack, for measurements.
func claimCommand() *cobra.Command {
	o := options{sharing: "port-file"}
	cmd := &cobra.Command{
		Use:    "claim --plex NAME --stack NAME --xcf-address ADDRESS --port-file FILE",
		Short:  "take and give back ports as a stack, told by standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tune() // as a stack is
			xcf, err := netip.ParseAddr(o.xcfAddress)
			if err != nil {
				return err
			}
			ports, err := o.checkPorts()
			if err != nil {
				return err
			}
			facility, err := cf.Open(cf.Config{
				Path: o.portFile, Plex: o.plex,
				Self: contract.Member{Stack: o.stack, XCF: xcf, Incarnation: uint64(time.Now().UnixNano())},
				Pool: contract.PortRange{First: ports.first, Last: ports.last}, Rest: ports.rest,
			})
			if err != nil {
				return err
			}
			defer facility.Close()
			c := &claimer.Claimer{Facility: facility, XCF: xcf}
			if err := c.Settle(cmd.Context()); err != nil {
				return err
			}
			return conversation.Serve(os.Stdin, os.Stdout, func(job conversation.Job) (conversation.Answer, error) {
				return c.Do(cmd.Context(), job)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.plex, "plex", "", "name of the plex")
	flags.StringVar(&o.stack, "stack", "", "name of the stack")
	flags.StringVar(&o.xcfAddress, "xcf-address", "", "address of the stack on the inter-stack network")
	flags.StringVar(&o.portFile, "port-file", "", "port file of the plex")
	flags.StringVar(&o.pool, "pool", "1024-65535", "ports that port 0 is served from")
	flags.IntVar(&o.restMS, "port-rest-ms", 0, "milliseconds for which a freed port rests")
	return cmd
}
