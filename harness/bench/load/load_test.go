package load_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plexlab-dev/plexlab/harness/bench/load"
)

// server answers every request with one byte and notes where connections came from and how
// they ended.
type server struct {
	net.Listener
	mu      sync.Mutex
	sources map[netip.Addr]int
	ends    map[netip.AddrPort]int
	resets  int
	served  sync.WaitGroup
}

func serve(t *testing.T, address string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: listener, sources: map[netip.Addr]int{}, ends: map[netip.AddrPort]int{}}
	s.served.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.served.Go(func() { s.one(c) })
		}
	})
	t.Cleanup(s.end)
	return s
}

// end waits until every connection was seen through.
func (s *server) end() {
	s.Close()
	s.served.Wait()
}

func (s *server) one(c net.Conn) {
	defer c.Close()
	request := make([]byte, 16)
	_, err := c.Read(request)
	if err == nil {
		c.Write([]byte("a"))
		_, err = c.Read(request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	remote := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	s.sources[remote.Addr()]++
	s.ends[remote]++
	if err != io.EOF {
		s.resets++
	}
}

func (s *server) target() netip.AddrPort { return s.Addr().(*net.TCPAddr).AddrPort() }

func TestEveryConnectionReachesTheServerFromEverySource(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	sources := []netip.Addr{netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("127.0.1.2"), netip.MustParseAddr("127.0.1.3")}
	result, err := load.Run(t.Context(), load.Config{
		Target: s.target(), Sources: sources, Workers: 4, Duration: 200 * time.Millisecond,
		Request: []byte("q"), Close: load.CloseFIN,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	if len(result.Failures) > 0 {
		t.Errorf("failures %v, want none", result.Failures)
	}
	total := 0
	for _, source := range sources {
		if s.sources[source] == 0 {
			t.Errorf("no connection from %s", source)
		}
		total += s.sources[source]
	}
	if result.Connections != total || total == 0 {
		t.Errorf("counted %d connections, the server %d", result.Connections, total)
	}
	if s.resets > 0 {
		t.Errorf("%d connections ended by RST, want FIN", s.resets)
	}
}

func TestCloseByRST(t *testing.T) {
	s := serve(t, "[::1]:0")
	result, err := load.Run(t.Context(), load.Config{
		Target: s.target(), Workers: 1, Duration: 20 * time.Millisecond, Request: []byte("q"), Close: load.CloseRST,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	if result.Connections == 0 || s.resets != result.Connections {
		t.Errorf("%d of %d connections ended by RST, want all", s.resets, result.Connections)
	}
}

func TestOnePortIsUsedForEveryConnection(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	free, err := net.Listen("tcp", "127.0.1.1:0")
	if err != nil {
		t.Fatal(err)
	}
	source := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	result, err := load.Run(t.Context(), load.Config{
		Target: s.target(), Sources: []netip.Addr{source.Addr()}, Port: source.Port(), Workers: 1,
		Duration: 10 * time.Second, Connections: 50, Request: []byte("q"), Close: load.CloseRST,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.end()
	if result.Connections != 50 || result.Failed() > 0 {
		t.Errorf("got %+v, want 50 connections and no failures", result)
	}
	if diff := cmp.Diff(map[netip.AddrPort]int{source: 50}, s.ends); diff != "" {
		t.Errorf("remote ends (-want +got):\n%s", diff)
	}
}

func TestRefusedConnectionsAreCountedByCause(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	s.end()
	result, err := load.Run(t.Context(), load.Config{
		Target: s.target(), Workers: 1, Duration: 5 * time.Millisecond, Close: load.CloseFIN,
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Connections != 0 || result.Failed() == 0 || result.Failures["connect: connection refused"] != result.Failed() {
		t.Errorf("got %+v, want refused connections only", result)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	result, err := load.Run(ctx, load.Config{Target: s.target(), Workers: 2, Duration: time.Hour, Request: []byte("q"), Close: load.CloseRST})
	if err != nil || result.Elapsed > time.Minute {
		t.Errorf("ran %v with error %v", result.Elapsed, err)
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	good := load.Config{Target: netip.MustParseAddrPort("127.0.0.1:9"), Workers: 1, Duration: time.Second, Close: load.CloseFIN}
	for want, spoil := range map[string]func(*load.Config){
		"target":                    func(c *load.Config) { c.Target = netip.AddrPort{} },
		"0 workers":                 func(c *load.Config) { c.Workers = 0 },
		"duration 0s":               func(c *load.Config) { c.Duration = 0 },
		`close "": fin or rst`:      func(c *load.Config) { c.Close = "" },
		"-1 connections":            func(c *load.Config) { c.Connections = -1 },
		"source port 9: one source": func(c *load.Config) { c.Port, c.Close = 9, load.CloseRST },
		"are of different families": func(c *load.Config) { c.Sources = []netip.Addr{netip.IPv6Loopback()} },
	} {
		config := good
		spoil(&config)
		if _, err := load.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if diff := cmp.Diff(10.0, load.Result{Connections: 20, Elapsed: 2 * time.Second}.PerSecond()); diff != "" {
		t.Errorf("rate (-want +got):\n%s", diff)
	}
}

func TestPlus(t *testing.T) {
	t.Parallel()
	var total load.Result
	for _, r := range []load.Result{
		{Connections: 100, Elapsed: time.Second, Failures: map[string]int{"connect: refused": 1}},
		{Connections: 300, Elapsed: time.Second},
		{Connections: 200, Elapsed: 2 * time.Second, Failures: map[string]int{"connect: refused": 2, "send: reset": 1}},
	} {
		total = total.Plus(r)
	}
	want := load.Result{Connections: 600, Elapsed: 4 * time.Second, Failures: map[string]int{"connect: refused": 3, "send: reset": 1}}
	if diff := cmp.Diff(want, total); diff != "" {
		t.Errorf("sum of three runs (-want +got):\n%s", diff)
	}
	if got := total.PerSecond(); got != 150 {
		t.Errorf("rate of three runs: %v, want 150: runs count by how long they were", got)
	}
}
