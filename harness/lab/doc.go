// Package lab builds a virtual Sysplex from a plan and lets programs work with it.
//
//	client (CLI, test)           supervisor, PID 1
//	+----------------+  start   +------------------------------------+
//	| Up, Attach     |--------->| own PID and mount namespace         |
//	| Socket, Dial   |  socket  |   hub namespace: bridges            |
//	| Exec, Logs     |<-------->|   a namespace for each node         |
//	| Kill, Freeze.. |  (files) |   stacks, applications              |
//	+----------------+          |   tmpfs: port file, sockets, logs   |
//	                            +------------------------------------+
//
// A lab is its supervisor: a process of its own that everything else is held by. When it
// ends, by whatever means, the kernel takes the rest down, and nothing has to be cleaned up. A
// client never enters a namespace: it is handed sockets that were created there, so root and
// an ordinary user, for whom the supervisor makes a user namespace, do the same.
//
// Time limits are the context's. A method whose context ends returns; what it has asked for
// may still happen.
package lab
