package segment_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/segment/vethtest"
)

// scriptedPair is two scripted hosts that face each other.
func scriptedPair(t *testing.T) (client, server *segment.Host) {
	t.Helper()
	near, far := vethtest.New(t)
	host := func(end *vethtest.End, prefix netip.Prefix) *segment.Host {
		port, err := segment.NewPort(end.PacketSocket())
		if err != nil {
			t.Fatal(err)
		}
		h, err := segment.NewHost(port, prefix, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	return host(near, scripted), host(far, kernel)
}

// accepted dials server and answers with the flags given; the SYN comes back with the outcome.
func accepted(t *testing.T, client, server *segment.Host, flags segment.Flags) (*segment.Conn, segment.Segment, error) {
	t.Helper()
	ctx := within(t)
	syns := make(chan segment.Segment, 1)
	go func() {
		defer close(syns)
		d, err := server.Receive(ctx, segment.Pattern{Dst: service, Has: segment.SYN}.Match)
		if err != nil {
			t.Error(err)
			return
		}
		if err := server.Send(ctx, d.Segment.Answer(flags, 7000)); err != nil {
			t.Error(err)
		}
		syns <- d.Segment
	}()
	conn, err := client.Dial(ctx, 1024, service)
	return conn, <-syns, err
}

func TestDialTellsWhatAnsweredIt(t *testing.T) {
	client, server := scriptedPair(t)
	conn, syn, err := accepted(t, client, server, segment.SYN)
	if err != nil {
		t.Fatal(err)
	}
	if syn.Flags != segment.SYN || syn.MSS != segment.DefaultMSS || conn.Local() != syn.Src || conn.Remote() != service {
		t.Errorf("%s", syn)
	}
	ack, err := server.Receive(within(t), segment.Pattern{Src: conn.Local(), Has: segment.ACK}.Match)
	if err != nil || ack.Segment.Ack != 7001 || ack.Segment.Seq != syn.Next() {
		t.Errorf("want an acknowledgement of 7001, got %s, %v", ack, err)
	}
	if _, _, err := accepted(t, client, server, segment.RST); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("answered by RST: want ECONNREFUSED, got %v", err)
	}
	if _, _, err := accepted(t, client, server, segment.PSH); err == nil {
		t.Error("answered by anything else: want an error")
	}
}

func TestReadTakesWhatComesInOrder(t *testing.T) {
	client, server := scriptedPair(t)
	conn, syn, err := accepted(t, client, server, segment.SYN)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	data := func(seq uint32, text string) segment.Segment {
		return segment.NewData(service, conn.Local(), seq, syn.Next(), []byte(text))
	}
	last := data(7007, "three")
	last.Flags |= segment.FIN
	for _, s := range []segment.Segment{
		segment.NewACK(service, conn.Local(), 7001, syn.Next()),
		data(7001, "one"),
		data(7001, "one"),   // again
		data(7007, "three"), // too early
		data(7004, "two"),
		last,
	} {
		if err := server.Send(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"one", "two", "three"} {
		if got, err := conn.Read(ctx); err != nil || string(got) != want {
			t.Errorf("want %s, got %q, %v", want, got, err)
		}
	}
	if _, err := conn.Read(ctx); err != io.EOF {
		t.Errorf("want io.EOF, got %v", err)
	}
	for {
		ack, err := server.Receive(ctx, segment.Pattern{Src: conn.Local(), Has: segment.ACK}.Match)
		if err != nil {
			t.Fatalf("the last acknowledgement: %v", err)
		}
		if ack.Segment.Ack == last.Next() {
			break
		}
	}
}

func TestReadTellsOfAReset(t *testing.T) {
	client, server := scriptedPair(t)
	conn, _, err := accepted(t, client, server, segment.SYN)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Send(within(t), segment.NewRST(service, conn.Local(), 7001)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(within(t)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("want ECONNRESET, got %v", err)
	}
}
