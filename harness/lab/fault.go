package lab

import (
	"context"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// Fault applies a fault by its verb, as topologies and the command line have them:
//
//	kill STACK                       start STACK
//	freeze STACK                     thaw STACK
//	link-down NODE LINK              link-up NODE LINK
//	drop NETWORK FROM TO
//	partition NETWORK NODE[,NODE...] ...
//	heal NETWORK
func (l *Lab) Fault(ctx context.Context, verb string, args ...string) error {
	return l.ask(ctx, wire.Request{Operation: wire.OperationFault, Fault: &wire.Fault{Verb: verb, Args: args}}, nil)
}

// Kill ends a stack by SIGKILL, as a machine that fails: it returns when its links are down
// and its applications have ended.
func (l *Lab) Kill(ctx context.Context, stack string) error { return l.Fault(ctx, "kill", stack) }

// StartStack brings back a stack whose process has ended: its links come up, a new process
// starts, and when that is ready, the applications of the plan. The namespace is the same one, with
// whatever the earlier process has left in it.
func (l *Lab) StartStack(ctx context.Context, stack string) error {
	return l.Fault(ctx, "start", stack)
}

// Freeze stops a stack's process and returns when it does not run any more. The kernel goes
// on for it: its data path and its sockets live.
func (l *Lab) Freeze(ctx context.Context, stack string) error { return l.Fault(ctx, "freeze", stack) }

// Thaw lets a frozen stack go on. One that is not frozen is no error.
func (l *Lab) Thaw(ctx context.Context, stack string) error { return l.Fault(ctx, "thaw", stack) }

// LinkDown pulls the cable of a node's link: the carrier is lost, addresses and routes stay.
func (l *Lab) LinkDown(ctx context.Context, node, link string) error {
	return l.Fault(ctx, "link-down", node, link)
}

// LinkUp puts it back.
func (l *Lab) LinkUp(ctx context.Context, node, link string) error {
	return l.Fault(ctx, "link-up", node, link)
}

// Drop loses every frame of a network from one node to another; the other way stays open.
// It adds to earlier cuts of that network.
func (l *Lab) Drop(ctx context.Context, network, from, to string) error {
	return l.Fault(ctx, "drop", network, from, to)
}

// Partition splits a network into groups of nodes; those that no group names form one more.
// It takes the place of all earlier cuts of that network.
func (l *Lab) Partition(ctx context.Context, network string, groups ...[]string) error {
	args := []string{network}
	for _, group := range groups {
		args = append(args, strings.Join(group, ","))
	}
	return l.Fault(ctx, "partition", args...)
}

// Heal ends every drop and partition of a network.
func (l *Lab) Heal(ctx context.Context, network string) error { return l.Fault(ctx, "heal", network) }
