package probe

import (
	"fmt"
	"io"
	"net"
	"strings"
)

// Echo is a server that sends back what it receives. Its command:
//
//	serve ADDRESS:PORT  listens there from then on
//
// Returns when in ends.
func Echo(in io.Reader, out io.Writer) error {
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			listener.Close()
		}
	}()
	return serve(in, out, func(line string) (Answer, error) {
		address, found := strings.CutPrefix(line, "serve ")
		if !found {
			return Answer{}, fmt.Errorf("unknown command %q", line)
		}
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			return Answer{}, err
		}
		listeners = append(listeners, listener)
		go echo(listener)
		return Answer{}, nil
	})
}

func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			defer conn.Close()
			buffer := make([]byte, 512) // not io.Copy: its 32 KiB, a thousand times, are slow to come by
			for {
				n, err := conn.Read(buffer)
				if err == nil {
					_, err = conn.Write(buffer[:n])
				}
				if err != nil {
					return
				}
			}
		}()
	}
}
