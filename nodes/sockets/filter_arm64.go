package sockets

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// foreignCalls is zero: calls of the 32-bit ABI come with another architecture.
	foreignCalls = 0
)
