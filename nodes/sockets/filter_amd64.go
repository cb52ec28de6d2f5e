package sockets

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// foreignCalls is the first number of a call of the x32 ABI (__X32_SYSCALL_BIT).
	foreignCalls = 0x40000000
)
