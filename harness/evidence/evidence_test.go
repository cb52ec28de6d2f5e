package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// file writes a pcapng file with one interface, on which nothing passed.
func file(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, PacketsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcapgo.NewNgWriterInterface(f, pcapgo.NgInterface{
		Name: "MVS2/xcf0", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9,
	}, pcapgo.DefaultNgWriterOptions)
	if err == nil {
		err = w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: pcapgo.NgNoValue64})
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDerive(t *testing.T) {
	pattern := &segment.Pattern{Has: segment.RST}
	of := func(role capture.Role, seen int) capture.Judgement {
		return capture.Judgement{Role: role, On: "MVS2/xcf0", Words: "RST", Pattern: pattern, Seen: seen}
	}
	opaque := of(capture.Expected, 3)
	opaque.Pattern = nil
	for _, test := range []struct {
		name          string
		judgements    []capture.Judgement
		want          verdict.Verdict
		again, opaque int
		says          string // of a PASS
	}{
		{"nothing was asked", nil, verdict.Pass, 0, 0, ""},
		{"an absence", []capture.Judgement{of(capture.Unwanted, -1)}, verdict.Pass, 1, 0, ""},
		{"an attempt in vain", []capture.Judgement{of(capture.Attempt, -1)}, verdict.Pass, 1, 0, ""},
		{"something expected that is not there", []capture.Judgement{of(capture.Expected, -1)}, verdict.Fail, 1, 0, "its packets say FAIL"},
		{"a stimulus that is not there", []capture.Judgement{of(capture.Stimulus, -1)}, verdict.Vacuous, 1, 0, "its packets say VACUOUS"},
		{"a packet that was made up", []capture.Judgement{of(capture.Expected, 0)}, verdict.Pass, 0, 0, "the file has none"},
		{"a function of the spec", []capture.Judgement{opaque}, verdict.Pass, 0, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file(t, dir)
			if err := WriteJudgements(dir, test.judgements); err != nil {
				t.Fatal(err)
			}
			got, err := Derive(dir)
			if err != nil || got.Verdict != test.want || got.Again != test.again || got.Opaque != test.opaque {
				t.Errorf("want %s, %d again and %d opaque, got %+v, %v", test.want, test.again, test.opaque, got, err)
			}
			err = got.Supports(verdict.Pass)
			if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("of a PASS: %v", err)
			}
			if test.want != verdict.Pass && got.Supports(test.want) != nil {
				t.Errorf("%s is what the packets say", test.want)
			}
		})
	}
}

func TestEvidenceThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := Derive(dir); err == nil {
		t.Error("an empty directory was judged")
	}
	if err := WriteJudgements(dir, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Derive(dir); err == nil || !strings.Contains(err.Error(), PacketsFile) {
		t.Errorf("judgements without packets: %v", err)
	}
}
