package trial

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// HoldOne opens connections from the client to a service until one is held by the named target,
// as the routing stack tells, and keeps that one open.
func (s *SystemTrial) HoldOne(routing string, service netip.AddrPort, target string) net.Conn {
	ginkgo.GinkgoHelper()
	client := s.Lab.Control(routing)
	defer client.Close()
	limit := s.Soon()
	for limit.Err() == nil {
		conn, err := s.Lab.Dial(limit, s.Client, "tcp", netip.AddrPort{}, service)
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		table, err := client.VCRT(limit, 0)
		verdict.Engine(err, "ask %s for its connection routing table", routing)
		for _, e := range table.Entries {
			if e.Source.String() == conn.LocalAddr().String() && e.Stack == target {
				ginkgo.DeferCleanup(func() { conn.Close() })
				return conn
			}
		}
		conn.Close()
	}
	verdict.Mismatch("a connection to "+service.String()+" held by "+target, "none within "+Limit().String())
	return nil
}

// ExpectEnded sends on a connection and expects that its end is told: a reset, not silence.
func (s *SystemTrial) ExpectEnded(conn net.Conn) {
	ginkgo.GinkgoHelper()
	gomega.Expect(conn.SetDeadline(time.Now().Add(Limit()))).To(gomega.Succeed())
	_, err := conn.Write([]byte("x"))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		verdict.Mismatch("a reset", "silence for "+Limit().String())
	case err == nil, errors.Is(err, io.EOF):
		verdict.Mismatch("a reset", "an orderly answer")
	}
}

// request asks a web server on a connection that stays open, and returns what it answers.
func request(conn net.Conn) ([]byte, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: plex\r\n\r\n"); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// ExpectAlive asks a web server on a connection that is open and expects an answer.
func (s *SystemTrial) ExpectAlive(conn net.Conn) {
	ginkgo.GinkgoHelper()
	gomega.Expect(conn.SetDeadline(time.Now().Add(Limit()))).To(gomega.Succeed())
	_, err := request(conn)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// EventuallyWithout waits until a stack tells that another one is no member of its group.
func (t *Trial) EventuallyWithout(stack, lost string) {
	ginkgo.GinkgoHelper()
	client := t.Lab.Control(stack)
	defer client.Close()
	gomega.Eventually(func() ([]string, error) {
		group, err := client.Group(t.ctx)
		var members []string
		for _, m := range group.Members {
			members = append(members, m.Stack)
		}
		return members, err
	}).ShouldNot(gomega.ContainElement(lost), "members that %s sees", stack)
}
