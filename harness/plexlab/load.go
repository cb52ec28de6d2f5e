package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/bench/etcd"
	"github.com/plexlab-dev/plexlab/harness/bench/load"
	"github.com/plexlab-dev/plexlab/harness/bench/probe"
)

// newLoad is the load client of the benchmarks. It runs inside a laboratory.
func newLoad(io streams) *cobra.Command {
	var (
		sources string
		request string
		closing string
		config  load.Config
	)
	command := &cobra.Command{
		Use: "load ADDRESS:PORT", Short: "Open connections as fast as possible and count them", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := netip.ParseAddrPort(args[0])
			if err != nil {
				return usageError{err}
			}
			config.Target, config.Request, config.Close = target, []byte(request), load.Close(closing)
			if sources != "" {
				prefix, err := netip.ParsePrefix(sources)
				if err != nil {
					return usageError{err}
				}
				config.Sources = addressesOf(prefix)
			}
			result, err := load.Run(cmd.Context(), config)
			if err != nil {
				return usageError{err}
			}
			return json.NewEncoder(io.out).Encode(result)
		},
	}
	flags := command.Flags()
	flags.StringVar(&sources, "sources", "", "prefix whose addresses are the sources")
	flags.StringVar(&request, "request", "", "what to send once a connection is open")
	flags.StringVar(&closing, "close", string(load.CloseFIN), "how to end a connection: fin or rst")
	flags.Uint16Var(&config.Port, "port", 0, "source port of every connection, each after the other; 0: any")
	flags.IntVar(&config.Workers, "workers", 8, "connections open at a time")
	flags.DurationVar(&config.Duration, "duration", time.Second, "how long at most")
	flags.IntVar(&config.Connections, "connections", 0, "how many of each worker at most; 0: as many as the time allows")
	return command
}

// maxSources bounds how many addresses a prefix is taken for.
const maxSources = 4096

func addressesOf(prefix netip.Prefix) []netip.Addr {
	var addresses []netip.Addr
	for a := prefix.Masked().Addr(); prefix.Contains(a) && len(addresses) < maxSources; a = a.Next() {
		addresses = append(addresses, a)
	}
	return addresses
}

// newProbe holds the programs that the benchmarks run, inside a laboratory and beside it.
func newProbe(io streams) *cobra.Command {
	command := &cobra.Command{Use: "probe", Short: "Measure, told by standard input", Hidden: true}
	command.AddCommand(
		&cobra.Command{
			Use: "listener", Short: "Open and close listeners, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("listener", probe.Listener(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "knocker", Short: "Knock at services, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("knocker", probe.Knocker(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "pulse", Short: "Ask a service for a connection each millisecond, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("pulse", probe.Pulse(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "echo", Short: "Send back what is received, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("echo", probe.Echo(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "talker", Short: "Talk to echoes on many connections, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("talker", probe.Talker(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "binder", Short: "Bind sockets, told by standard input", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				return named("binder", probe.Binder(io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "locker PORTFILE", Short: "Lock entries of a port file, told by standard input", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				// As a stack, whose claims it is compared with: on a machine with much else to do,
				// a process that moves between two processors gets more of them.
				runtime.GOMAXPROCS(1)
				return named("locker", probe.Locker(args[0], io.in, io.out))
			},
		},
		&cobra.Command{
			Use: "etcd ENDPOINT STACK", Short: "Claim ports as keys of etcd, told by standard input", Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				stack, err := strconv.Atoi(args[1])
				if err != nil {
					return usageError{err}
				}
				return named("etcd claimer", etcd.Claim(cmd.Context(), args[0], stack, io.in, io.out))
			},
		},
	)
	return command
}

func named(program string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}
