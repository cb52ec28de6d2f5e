package puppet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// channel is the descriptor by which a child gets sockets from its parent.
const channel = 3

// child is another puppet, started by this one.
type child struct {
	command *exec.Cmd
	orders  io.WriteCloser
	answers *json.Decoder
	channel *os.File
}

// fork starts a child with a copy of every socket. For the kernel its descriptors are those of a
// program that called fork(): other numbers of the same sockets.
func (p *Program) fork(name string) Answer {
	if _, taken := p.children[name]; taken {
		return problem(fmt.Errorf("fork: there is a child %s already", name))
	}
	return timed(func() error {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		c := &child{channel: os.NewFile(uintptr(ends[0]), "channel")}
		files := []*os.File{os.NewFile(uintptr(ends[1]), "channel")}
		defer func() {
			for _, file := range files {
				file.Close()
			}
		}()
		names := []string{}
		for socket, fd := range p.sockets {
			copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return err
			}
			names = append(names, socket)
			files = append(files, os.NewFile(uintptr(copied), socket))
		}
		if err := c.start(p.config.Child(names), files); err != nil {
			c.channel.Close()
			return err
		}
		p.children[name] = c
		return nil
	})
}

func (c *child) start(argv []string, files []*os.File) error {
	c.command = exec.Command(argv[0], argv[1:]...)
	c.command.ExtraFiles = files
	c.command.Stderr = os.Stderr
	answers, err := c.command.StdoutPipe()
	if err != nil {
		return err
	}
	c.answers = json.NewDecoder(answers)
	if c.orders, err = c.command.StdinPipe(); err != nil {
		return err
	}
	return c.command.Start()
}

// tell has a child carry out an order and returns its answer.
func (p *Program) tell(name, order string) Answer {
	c, ok := p.children[name]
	if !ok {
		return problem(fmt.Errorf("there is no child %s", name))
	}
	var answer Answer
	_, err := fmt.Fprintln(c.orders, order)
	if err == nil {
		err = c.answers.Decode(&answer)
	}
	if err != nil {
		return problem(fmt.Errorf("tell child %s %q: %w", name, order, err))
	}
	return answer
}

// pass sends a socket to a child, which takes it.
func (p *Program) pass(socket string, fd int, name string) Answer {
	c, ok := p.children[name]
	if !ok {
		return problem(fmt.Errorf("pass: there is no child %s", name))
	}
	sent := timed(func() error {
		return unix.Sendmsg(int(c.channel.Fd()), []byte(socket), unix.UnixRights(fd), nil, 0)
	})
	if sent.Errno != 0 || sent.Problem != "" {
		return sent
	}
	return p.tell(name, "take "+socket)
}

// take receives a socket from the parent.
func (p *Program) take(name string) Answer {
	return timed(func() error {
		rights := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := unix.Recvmsg(channel, make([]byte, 64), rights, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return err
		}
		messages, err := unix.ParseSocketControlMessage(rights[:n])
		if err != nil {
			return err
		}
		if len(messages) != 1 {
			return fmt.Errorf("take %s: %d control messages", name, len(messages))
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return err
		}
		p.sockets[name] = fds[0]
		return nil
	})
}

// kill ends a child and returns when it has ended.
func (p *Program) kill(name string) Answer {
	c, ok := p.children[name]
	if !ok {
		return problem(fmt.Errorf("kill: there is no child %s", name))
	}
	delete(p.children, name)
	return timed(c.kill)
}

func (c *child) kill() error {
	defer c.channel.Close()
	if err := c.command.Process.Kill(); err != nil {
		return err
	}
	// It ended by the signal, which Wait calls an error.
	_ = c.command.Wait()
	return nil
}

func (p *Program) endChildren() {
	for _, c := range p.children {
		// One that has ended already needs no end.
		_ = c.kill()
	}
}
