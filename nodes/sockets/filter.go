package sockets

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (include/uapi/linux/seccomp.h). An argument is 8 bytes;
// its low half comes first on every machine that this package runs on.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
	sizeofArg  = 8
)

// filter is the program that every system call of an application passes.
//
// It sends bind, listen and connect to the broker, and closes what would go around it: io_uring
// does the same calls without entering them, system calls of another ABI have other numbers,
// and MSG_FASTOPEN connects while it sends; a kernel with TCP Fast Open off for clients refuses
// that as it is refused here (tcp_sendmsg_fastopen). MPTCP is refused as a kernel without it
// does, and programs then open TCP (Go's net package asks for MPTCP first): the additional
// subflows of one MPTCP connection are connections of their own to whoever distributes them, and
// would reach stacks that know nothing of the first.
func filter() ([]bpf.RawInstruction, error) {
	const (
		allow  = "allow"
		notify = "notify"
		nosys  = "nosys"
		noprot = "noprot"
		noopen = "noopen"
		third  = "flags are the third argument"
		fourth = "flags are the fourth argument"
	)
	p := program{}
	p.load(offsetArch)
	p.unless(bpf.JumpEqual, auditArch, nosys)
	p.load(offsetCall)
	if foreignCalls != 0 {
		p.when(bpf.JumpGreaterOrEqual, foreignCalls, nosys)
	}
	p.when(bpf.JumpEqual, unix.SYS_SENDTO, fourth)
	p.when(bpf.JumpEqual, unix.SYS_SENDMSG, third)
	p.when(bpf.JumpEqual, unix.SYS_SENDMMSG, fourth)
	p.when(bpf.JumpEqual, unix.SYS_BIND, notify)
	p.when(bpf.JumpEqual, unix.SYS_LISTEN, notify)
	p.when(bpf.JumpEqual, unix.SYS_CONNECT, notify)
	p.when(bpf.JumpEqual, unix.SYS_IO_URING_SETUP, nosys)
	p.unless(bpf.JumpEqual, unix.SYS_SOCKET, allow)
	p.load(offsetArgs + 2*sizeofArg)
	p.unless(bpf.JumpEqual, unix.IPPROTO_MPTCP, allow)
	p.load(offsetArgs)
	p.when(bpf.JumpEqual, unix.AF_INET, noprot)
	p.when(bpf.JumpEqual, unix.AF_INET6, noprot)
	p.end(allow, unix.SECCOMP_RET_ALLOW)

	p.label(third)
	p.load(offsetArgs + 2*sizeofArg)
	p.when(bpf.JumpBitsSet, unix.MSG_FASTOPEN, noopen)
	p.end("", unix.SECCOMP_RET_ALLOW)
	p.label(fourth)
	p.load(offsetArgs + 3*sizeofArg)
	p.when(bpf.JumpBitsSet, unix.MSG_FASTOPEN, noopen)
	p.end("", unix.SECCOMP_RET_ALLOW)

	p.end(notify, unix.SECCOMP_RET_USER_NOTIF)
	p.end(nosys, unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))
	p.end(noprot, unix.SECCOMP_RET_ERRNO|uint32(unix.EPROTONOSUPPORT))
	p.end(noopen, unix.SECCOMP_RET_ERRNO|uint32(unix.EOPNOTSUPP))
	return p.assemble()
}

// program is a classic BPF program whose jumps go forward to labels.
type program struct {
	instructions []bpf.Instruction
	jumps        []jump
	labels       map[string]int
}

type jump struct {
	at     int
	onTrue bool
	label  string
}

func (p *program) load(offset uint32) {
	p.instructions = append(p.instructions, bpf.LoadAbsolute{Off: offset, Size: 4})
}

func (p *program) when(test bpf.JumpTest, value uint32, label string) {
	p.jump(test, value, label, true)
}

func (p *program) unless(test bpf.JumpTest, value uint32, label string) {
	p.jump(test, value, label, false)
}

func (p *program) jump(test bpf.JumpTest, value uint32, label string, onTrue bool) {
	p.jumps = append(p.jumps, jump{at: len(p.instructions), onTrue: onTrue, label: label})
	p.instructions = append(p.instructions, bpf.JumpIf{Cond: test, Val: value})
}

// label names the next instruction, for jumps to lead to.
func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = map[string]int{}
	}
	p.labels[name] = len(p.instructions)
}

// end places a label and the return value that its jumps lead to.
func (p *program) end(label string, value uint32) {
	p.label(label)
	p.instructions = append(p.instructions, bpf.RetConstant{Val: value})
}

func (p *program) assemble() ([]bpf.RawInstruction, error) {
	for _, j := range p.jumps {
		i := p.instructions[j.at].(bpf.JumpIf)
		skip := uint8(p.labels[j.label] - j.at - 1)
		if j.onTrue {
			i.SkipTrue = skip
		} else {
			i.SkipFalse = skip
		}
		p.instructions[j.at] = i
	}
	return bpf.Assemble(p.instructions)
}
