package capture

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/segment/vethtest"
)

func TestTheFileHoldsWhatWasRecorded(t *testing.T) {
	w := newWire(t)
	w.send(t, 1)
	if _, err := w.On("far").Await(within(t), seq(1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := pcapgo.NewNgReader(file, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Packet{}
	for _, p := range w.All().Matching(seq(1)) {
		want[p.Interface] = p
	}
	for {
		data, info, options, err := reader.ReadPacketDataWithOptions()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		about, err := reader.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := want[about.Name]
		if !ok || segment.Decode(data).Segment.Seq != 1 {
			continue // noise of the kernel's
		}
		delete(want, about.Name)
		outgoing := options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound
		if string(data) != string(p.Data) || !info.Timestamp.Equal(p.Time) || outgoing != p.Outgoing || about.Description != remark {
			t.Errorf("on %s: want %+v, got %+v %+v", about.Name, p, info, options)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the file: %v", want)
	}
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	near, far := vethtest.New(t)
	source := func(name string, end *vethtest.End) Source { return Source{Name: name, Socket: end.PacketSocket()} }
	dir := t.TempDir()
	for name, test := range map[string]struct {
		path    string
		sources []Source
		want    string
	}{
		"a name twice": {
			"a.pcapng", []Source{source("x", near), source("x", far), source("y", far)}, "twice",
		},
		"too few bytes":           {"e.pcapng", []Source{{Name: "x", Socket: near.PacketSocket(), Snap: 60}}, "60 bytes"},
		"no packet socket":        {"b.pcapng", []Source{{Name: "x", Socket: near.RawSocket()}, source("y", far)}, "ring"},
		"a directory that is not": {"absent/c.pcapng", []Source{source("x", near)}, "create capture file"},
		"no interfaces":           {"d.pcapng", nil, "no interfaces"},
	} {
		_, err := Start(filepath.Join(dir, test.path), test.sources...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want an error that says %q, got %v", name, test.want, err)
		}
		for _, s := range test.sources {
			if err := s.Socket.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: socket of %s is left open", name, s.Name)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	other := filepath.Join(dir, "other.pcapng")
	if err := os.WriteFile(other, []byte("evidence"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(other, source("x", near)); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file that exists: want os.ErrExist, got %v", err)
	}
	if text, _ := os.ReadFile(other); string(text) != "evidence" {
		t.Errorf("a file that exists was changed to %q", text)
	}
}
