package sockets

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	const (
		allow  = unix.SECCOMP_RET_ALLOW
		notify = unix.SECCOMP_RET_USER_NOTIF
		nosys  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		noprot = unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)
		noopen = unix.SECCOMP_RET_ERRNO | uint32(unix.EOPNOTSUPP)
	)
	for _, test := range []struct {
		name string
		arch uint32
		call uint32
		args [6]uint32
		want uint32
	}{
		{"bind", auditArch, unix.SYS_BIND, [6]uint32{}, notify},
		{"listen", auditArch, unix.SYS_LISTEN, [6]uint32{}, notify},
		{"connect", auditArch, unix.SYS_CONNECT, [6]uint32{}, notify},
		{"sendto", auditArch, unix.SYS_SENDTO, [6]uint32{3: unix.MSG_NOSIGNAL}, allow},
		{"sendto that connects", auditArch, unix.SYS_SENDTO, [6]uint32{3: unix.MSG_NOSIGNAL | unix.MSG_FASTOPEN}, noopen},
		{"sendto of so many bytes", auditArch, unix.SYS_SENDTO, [6]uint32{2: unix.MSG_FASTOPEN}, allow},
		{"sendmsg", auditArch, unix.SYS_SENDMSG, [6]uint32{2: unix.MSG_MORE}, allow},
		{"sendmsg that connects", auditArch, unix.SYS_SENDMSG, [6]uint32{2: unix.MSG_FASTOPEN}, noopen},
		{"sendmmsg", auditArch, unix.SYS_SENDMMSG, [6]uint32{}, allow},
		{"sendmmsg that connects", auditArch, unix.SYS_SENDMMSG, [6]uint32{3: unix.MSG_FASTOPEN}, noopen},
		{"accept4", auditArch, unix.SYS_ACCEPT4, [6]uint32{}, allow},
		{"io_uring_setup", auditArch, unix.SYS_IO_URING_SETUP, [6]uint32{}, nosys},
		{"socket of TCP", auditArch, unix.SYS_SOCKET, [6]uint32{unix.AF_INET, unix.SOCK_STREAM, 0}, allow},
		{"socket of MPTCP", auditArch, unix.SYS_SOCKET, [6]uint32{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, noprot},
		{"socket of MPTCP, IPv6", auditArch, unix.SYS_SOCKET, [6]uint32{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, noprot},
		{"packet socket of the same number", auditArch, unix.SYS_SOCKET, [6]uint32{unix.AF_PACKET, unix.SOCK_RAW, unix.IPPROTO_MPTCP}, allow},
		{"another architecture", unix.AUDIT_ARCH_I386, 361, [6]uint32{}, nosys},
		{"another architecture, allowed number", unix.AUDIT_ARCH_I386, unix.SYS_ACCEPT4, [6]uint32{}, nosys},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := runFilter(t, test.arch, test.call, test.args); got != test.want {
				t.Errorf("got %#x, want %#x", got, test.want)
			}
		})
	}
	if foreignCalls != 0 {
		if got := runFilter(t, auditArch, foreignCalls|unix.SYS_BIND, [6]uint32{}); got != nosys {
			t.Errorf("bind of the x32 ABI: got %#x, want %#x", got, nosys)
		}
	}
}

// runFilter interprets the program. The interpreter loads in network byte order, the kernel
// in its own.
func runFilter(t *testing.T, arch, call uint32, args [6]uint32) uint32 {
	t.Helper()
	raw, err := filter()
	if err != nil {
		t.Fatal(err)
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("program of unknown instructions")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, offsetArgs+6*sizeofArg)
	binary.BigEndian.PutUint32(data[offsetCall:], call)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, arg := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+i*sizeofArg:], arg)
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}
