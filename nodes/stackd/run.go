package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/nodes/contract/calm"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

func runCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run",
		Short: "be a stack in this network namespace, until SIGTERM",
		Long: `run is a stack of its plex, in the network namespace that it is started in. It needs
CAP_NET_ADMIN and CAP_NET_RAW there; in a user namespace of its own it has them without root.
It is ready when GET /v1/ready on its control socket answers 200, and ends on SIGTERM.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("stack", o.stack)
			if err := calm.Monitor(); err != nil {
				log.Warn("this stack uses more of the processors than it needs", "error", err)
			}
			tune()
			if err := run(ctx, o, log); err != nil {
				return fmt.Errorf("stack %s: %w", o.stack, err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.plex, "plex", "", "name of the plex")
	f.StringVar(&o.stack, "stack", "", "name of this stack")
	f.StringVar(&o.xcfAddress, "xcf-address", "", "address of this stack on the inter-stack network")
	f.StringVar(&o.xcfInterface, "xcf-interface", "", "interface to the inter-stack network")
	f.StringSliceVar(&o.outside, "outside", nil, "interfaces to the outside; none for an inside stack")
	f.StringVar(&o.profile, "profile", "", "file with the VIPADYNAMIC definitions; none for a stack without")
	f.StringVar(&o.portFile, "port-file", "", "port file of the plex")
	f.StringVar(&o.controlPath, "control", "", "Unix socket for the control API")
	f.StringVar(&o.keyFile, "key", "", "file with the plex key")
	f.IntVar(&o.helloMS, "hello-ms", 0, "milliseconds between two HELLOs (0: 35)")
	f.IntVar(&o.deadMS, "dead-ms", 0, "milliseconds of silence until a member is lost (0: 105)")
	f.StringVar(&o.pool, "pool", "32768-60999", "ports that port 0 of a DVIPA with CLUSTERPORTS is served from")
	f.IntVar(&o.restMS, "port-rest-ms", 60000, "milliseconds that a freed port rests which carried outbound connections (0: none)")
	f.StringVar(&o.sharing, "sharing", control.SharingPortFile, "how the stacks share ports: port-file, or distributor: the owner of a DVIPA keeps its table")
	f.StringVar(&o.variant, "variant", "specified-address-bypass", "how listeners are read (Figure 5): specified-address-bypass or enumerated-only")
	f.StringVar(&o.advertising, "advertising", "address", "how the network is told of DVIPAs: address (on the adapter), ospf or rip (by bird)")
	f.IntVar(&o.routingHello, "routing-hello-s", 0, "seconds between two hellos of OSPF, or updates of RIP (0: 1)")
	f.IntVar(&o.routingDead, "routing-dead-s", 0, "seconds of silence until a routing neighbour is lost (0: three times routing-hello-s)")
	f.IntVar(&o.bfdMS, "bfd-ms", 0, "milliseconds between two packets of BFD (0: 200)")
	f.StringVar(&o.selection, "selection", byRoundRobin, "how targets get their weights: roundrobin (the profile's), wlm (by load), or agent (asked of the policy agent)")
	f.StringVar(&o.policyAgent, "policy-agent", "", "Unix socket of the policy agent; with --selection agent only")
	f.IntVar(&o.selectionMS, "selection-ms", 0, "milliseconds between two reports of the load, and two questions to the agent (0: 1000)")
	for _, name := range []string{"plex", "stack", "xcf-address", "xcf-interface", "control", "key"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

// tune fits the runtime to a process that wakes often, does little and sleeps again, beside the
// applications that the processors are for: events go through a single loop, so further threads
// would only wake one another (see processors for when not), and a heap of a few MiB is not worth a collection for each.
func tune() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
}

// schedule says to the scheduler what kind of process this is. Without that the stack works too.
func schedule(log *slog.Logger) {
	if err := bePrompt(); err != nil {
		log.Warn("on a busy machine this stack may be late", "error", err)
	}
}

// run lives from the first file opened to the last one closed.
func run(ctx context.Context, o options, log *slog.Logger) error {
	s, err := open(o, log)
	if err != nil {
		return err
	}
	defer s.close()
	return s.serve(ctx)
}
