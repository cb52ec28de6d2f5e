// Package workload is the workload manager of a plex, as far as one stack has a part in it (T30,
// "a workload manager ... may be consulted"): a Meter measures the system of the stack, and a
// Manager makes weights of what the systems of the plex report.
//
// The system of a stack is its network namespace: what runs there is its load. Its capacity is the
// processors that the stack may run on. Systems of one machine so have the same capacity each; a
// virtual Sysplex distributes by what its systems use of it.
package workload
