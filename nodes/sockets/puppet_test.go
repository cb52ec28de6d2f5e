package sockets

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary is also the application under test: started with puppetEnv set, it
// carries out system calls that it reads from its standard input, one a line, and answers
// each with "ok", "ok VALUE" or the name of the errno. With brokerEnv set it first brings
// itself under that broker.
const (
	puppetEnv = "SOCKETS_TEST_PUPPET"
	brokerEnv = "SOCKETS_TEST_BROKER"
	nameEnv   = "SOCKETS_TEST_APPLICATION"
	// commandEnv makes its arguments the application, instead of itself.
	commandEnv = "SOCKETS_TEST_COMMAND"
)

// init keeps the puppet on the first thread of its process, before the runtime can move it to
// another: capabilities belong to threads, and tests know the calling thread by the process id.
func init() {
	if _, puppet := os.LookupEnv(puppetEnv); puppet {
		runtime.LockOSThread()
	}
}

// runPuppet does not return.
func runPuppet() {
	if broker, launch := os.LookupEnv(brokerEnv); launch {
		os.Unsetenv(brokerEnv)
		argv := append([]string{"/proc/self/exe"}, os.Args[1:]...)
		if _, command := os.LookupEnv(commandEnv); command {
			argv = os.Args[1:]
		}
		err := Launcher{Broker: broker, Application: os.Getenv(nameEnv), Argv: argv}.Launch()
		fmt.Println(err)
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	}
	p := puppet{fds: map[string]int{"inherited": 3}} // see bequeath
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		value, err := p.do(strings.Fields(lines.Text()))
		switch errno, plain := err.(unix.Errno); {
		case plain:
			fmt.Println(unix.ErrnoName(errno))
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(strings.TrimSpace("ok " + value))
		}
	}
	os.Exit(0)
}

type puppet struct {
	fds   map[string]int
	late  chan error // of the call that start began
	child *exec.Cmd
	in    *bufio.Writer
	out   *bufio.Scanner
}

func (p *puppet) do(words []string) (string, error) {
	if words[0] == "bequeath" { // a socket to a child process, which knows it as "inherited"
		return "", p.startChild(os.NewFile(uintptr(p.fds[words[1]]), words[1]))
	}
	if words[0] == "child" { // the rest of the line is for a child process
		return "", p.tellChild(strings.Join(words[1:], " "))
	}
	words = append(words, "", "")
	name, arg := words[1], words[2]
	fd, known := p.fds[name]
	if !known {
		fd = -1
	}
	switch words[0] {
	case "socket":
		return "", p.socket(name, arg)
	case "start": // listen or connect in another thread, while it goes on with the next command
		call, fd, late := name, p.fds[arg], make(chan error, 1)
		p.late = late
		go func() {
			if call == "connect" {
				late <- unix.Connect(fd, unixAddress(netip.MustParseAddrPort(words[3])))
			} else {
				late <- unix.Listen(fd, 64)
			}
		}()
		return "", nil
	case "finish":
		return "", <-p.late
	case "leave": // for a network namespace of its own
		return "", unix.Unshare(unix.CLONE_NEWNET)
	case "bind":
		return "", bindByName(fd, arg)
	case "bindraw": // name, length of the address given to the kernel
		length, _ := strconv.Atoi(arg)
		return "", withLength(unix.SYS_BIND, fd, length)
	case "bindfault":
		_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), 8, sizeofSockaddr4)
		return "", errnoError(errno)
	case "listen":
		return "", unix.Listen(fd, 64)
	case "connect":
		return "", unix.Connect(fd, unixAddress(netip.MustParseAddrPort(arg)))
	case "connectraw": // name, length of the address given to the kernel
		length, _ := strconv.Atoi(arg)
		return "", withLength(unix.SYS_CONNECT, fd, length)
	case "connectfault":
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), 8, sizeofSockaddr4)
		return "", errnoError(errno)
	case "disconnect":
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&[16]byte{})), 16)
		return "", errnoError(errno)
	case "nonblocking":
		return "", unix.SetNonblock(fd, true)
	case "pending": // the error that a connection failed with
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		return unix.ErrnoName(unix.Errno(errno)), err
	case "writable": // waits until a connection is established or has failed
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience.Milliseconds()))
		return "", err
	case "fastopen": // name, call: connects while it sends
		return "", fastOpen(fd, arg)
	case "accept":
		accepted, _, err := unix.Accept(fd)
		p.fds[arg] = accepted
		return "", err
	case "shutdown":
		return "", unix.Shutdown(fd, unix.SHUT_RDWR)
	case "close":
		delete(p.fds, name)
		return "", unix.Close(fd)
	case "reset": // close with an RST
		delete(p.fds, name)
		return "", errors.Join(unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}), unix.Close(fd))
	case "dup":
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		p.fds[arg] = copied
		return "", err
	case "pass": // leaves a copy on its way over the Unix socket arg, which nobody has received
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return "", err
		}
		p.fds[arg] = pair[1]
		return "", errors.Join(unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(fd), nil, 0), unix.Close(pair[0]))
	case "write":
		_, err := unix.Write(fd, []byte("x"))
		return "", err
	case "readend": // reads until the peer has closed
		for b := make([]byte, 64); ; {
			if n, err := unix.Read(fd, b); n <= 0 {
				return "", err
			}
		}
	case "cookie":
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		return fmt.Sprint(cookie), err
	case "number":
		return strconv.Itoa(fd), nil
	case "name":
		return nameOf(fd)
	case "option":
		return "", setOption(fd, arg)
	case "uring":
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&[120]byte{})), 0)
		return "", errnoError(errno)
	case "call32": // getpid() by the system call of 32-bit programs
		return "", call32()
	case "powerless": // gives up every capability
		return "", unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &[]unix.CapUserData{{}, {}}[0])
	case "launch":
		return "", Launcher{Broker: name, Argv: []string{"/proc/self/exe"}}.Launch()
	case "storm":
		rounds, _ := strconv.Atoi(arg)
		return "", storm(name, rounds)
	case "measure":
		rounds, _ := strconv.Atoi(arg)
		return measure(name, rounds)
	}
	return "", fmt.Errorf("unknown command %q", words)
}

func (p *puppet) socket(name, kind string) error {
	kinds := map[string][3]int{
		"tcp4":   {unix.AF_INET, unix.SOCK_STREAM, 0},
		"tcp6":   {unix.AF_INET6, unix.SOCK_STREAM, 0},
		"udp4":   {unix.AF_INET, unix.SOCK_DGRAM, 0},
		"unix":   {unix.AF_UNIX, unix.SOCK_STREAM, 0},
		"mptcp4": {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP},
	}
	k := kinds[kind]
	fd, err := unix.Socket(k[0], k[1]|unix.SOCK_CLOEXEC, k[2])
	if err == nil {
		p.fds[name] = fd
	}
	return err
}

func (p *puppet) startChild(files ...*os.File) error {
	p.child = exec.Command("/proc/self/exe")
	p.child.ExtraFiles = files
	in, _ := p.child.StdinPipe()
	out, _ := p.child.StdoutPipe()
	p.in, p.out = bufio.NewWriter(in), bufio.NewScanner(out)
	return p.child.Start()
}

func (p *puppet) tellChild(line string) error {
	if p.child == nil {
		if err := p.startChild(); err != nil {
			return err
		}
	}
	fmt.Fprintln(p.in, line)
	p.in.Flush()
	p.out.Scan()
	if answer := p.out.Text(); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}

func bindByName(fd int, to string) error {
	if path, local := strings.CutPrefix(to, "unix:"); local {
		return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	address := netip.MustParseAddrPort(to)
	if address.Addr().Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())})
	}
	zone, _ := strconv.Atoi(address.Addr().Zone())
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: address.Addr().As16(), Port: int(address.Port()), ZoneId: uint32(zone)})
}

// withLength is bind() or connect() to 127.0.0.1:0 with its own idea of how long an address is.
func withLength(call uintptr, fd, length int) error {
	address := [256]byte{unix.AF_INET, 0, 0, 0, 127, 0, 0, 1}
	_, _, errno := unix.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(&address)), uintptr(length))
	return errnoError(errno)
}

func nameOf(fd int) (string, error) {
	s, err := describe(fd)
	return s.Local.String(), err
}

func setOption(fd int, option string) error {
	switch option {
	case "reuseaddr":
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	case "reuseport":
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	case "v6only":
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	case "nolocalport": // bind() to an address leaves the port to connect() or listen()
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	case "fastopenconnect": // connect() puts off the SYN where it knows a cookie
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
	case "deferaccept": // a connection without data stays a half-open request
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30)
	}
	return fmt.Errorf("unknown option %q", option)
}

// fastOpen sends to 127.0.0.1:7001 by one of the calls that can connect meanwhile.
func fastOpen(fd int, call string) error {
	to := [16]byte{unix.AF_INET, 0, 7001 >> 8, 7001 & 0xff, 127, 0, 0, 1}
	data := []byte("x")
	vector := unix.Iovec{Base: &data[0], Len: 1}
	message := mmsghdr{header: unix.Msghdr{Name: &to[0], Namelen: 16, Iov: &vector, Iovlen: 1}}
	var errno unix.Errno
	switch call {
	case "sendto":
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), 1,
			unix.MSG_FASTOPEN, uintptr(unsafe.Pointer(&to)), 16)
	case "sendmsg":
		_, _, errno = unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message.header)), unix.MSG_FASTOPEN)
	case "sendmmsg":
		_, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), 1, unix.MSG_FASTOPEN, 0, 0)
	}
	return errnoError(errno)
}

// storm listens and closes through Go's net package from 16 goroutines at once.
func storm(address string, rounds int) error {
	failed := make(chan error, 16)
	var all sync.WaitGroup
	for range cap(failed) {
		all.Go(func() {
			for range rounds {
				l, err := net.Listen("tcp", address)
				if err != nil {
					failed <- err
					return
				}
				l.Close()
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// measure returns median and 99th percentile of a call in nanoseconds.
func measure(call string, rounds int) (string, error) {
	var took []time.Duration
	for range rounds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return "", err
		}
		began := time.Now()
		switch call {
		case "bind":
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: serverAt.Addr().As4()})
		case "listen":
			err = unix.Listen(fd, 64)
		case "connect":
			if err = unix.Connect(fd, unixAddress(outboundTo)); err == unix.ECONNREFUSED {
				err = nil // nobody listens
			}
		}
		took = append(took, time.Since(began))
		unix.Close(fd)
		if err != nil {
			return "", err
		}
	}
	slices.Sort(took)
	return fmt.Sprint(took[len(took)/2].Nanoseconds(), " ", took[len(took)*99/100].Nanoseconds()), nil
}

// killed is how a puppet that got SIGKILL ends.
func killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}
