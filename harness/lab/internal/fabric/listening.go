package fabric

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// socketTable asks the kernel for the TCP sockets of one namespace, that of the thread which opened it.
type socketTable struct{ conn *netlink.Conn }

func openSocketTable() (socketTable, error) {
	conn, err := netlink.Dial(unix.NETLINK_INET_DIAG, nil)
	if err != nil {
		return socketTable{}, fmt.Errorf("open sock_diag: %w", err)
	}
	return socketTable{conn}, nil
}

// Numbers and layout of a request (linux/inet_diag.h, net/tcp_states.h).
const (
	// dumpTCP (TCPDIAG_GETSOCK) is the older request, struct inet_diag_req: it alone finds the sockets of both address families in
	// one walk over the kernel's tables.
	dumpTCP = 18
	// sizeofDump is that of the request, atStates where the states that are asked for stand in it, as bits.
	sizeofDump = 60
	atStates   = 52
	tcpListen  = 10
)

// listening counts the sockets that listen. Only their table is walked: /proc/net/tcp has every connection as well.
func (t socketTable) listening() (int, error) {
	request := make([]byte, sizeofDump) // zero: any family, any socket
	binary.NativeEndian.PutUint32(request[atStates:], 1<<tcpListen)
	found, err := t.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: dumpTCP, Flags: netlink.Request | netlink.Dump}, Data: request,
	})
	if err != nil {
		return 0, fmt.Errorf("look for listening sockets: %w", err)
	}
	return len(found), nil
}

// Listening counts the listening TCP sockets of a node.
func (f *Fabric) Listening(nodeName string) (int, error) {
	n, ok := f.nodes[nodeName]
	if !ok {
		return 0, fmt.Errorf("node %s: %w", nodeName, ErrUnknown)
	}
	count, err := n.sockets.listening()
	if err != nil {
		return 0, fmt.Errorf("node %s: %w", nodeName, err)
	}
	return count, nil
}
