package capture

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// evidence is the pcapng file of a capture. Packets stand in the order in which the kernel handed
// over their blocks; their times tell their real order.
type evidence struct {
	file   *os.File
	writer *pcapgo.NgWriter
	names  []string
}

// remark goes into the description of every interface, for those who read the file.
const remark = "virtual link: checksums may be incomplete and segments larger than the MTU"

func newEvidence(path string, names []string) (*evidence, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("write capture file %s: no interfaces", path)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create capture file: %w", err)
	}
	e := &evidence{file: file, names: names}
	if err := e.begin(); err != nil {
		file.Close()
		os.Remove(path)
		return nil, fmt.Errorf("write capture file: %w", err)
	}
	return e, nil
}

func (e *evidence) begin() error {
	options := pcapgo.DefaultNgWriterOptions
	options.SectionInfo.Application = "plexlab"
	for i, name := range e.names {
		about := pcapgo.NgInterface{
			Name: name, Description: remark,
			LinkType: layers.LinkTypeEthernet, TimestampResolution: 9,
		}
		var err error
		if i == 0 {
			e.writer, err = pcapgo.NewNgWriterInterface(e.file, about, options)
		} else {
			_, err = e.writer.AddInterface(about)
		}
		if err != nil {
			return err
		}
	}
	return e.writer.Flush()
}

// write appends packets and gives them to the kernel, so that they survive the end of this process.
func (e *evidence) write(packets []Packet) error {
	for _, p := range packets {
		flags := &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
		if p.Outgoing {
			flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
		}
		err := e.writer.WritePacketWithOptions(gopacket.CaptureInfo{
			Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length,
			InterfaceIndex: slices.Index(e.names, p.Interface),
		}, p.Data, pcapgo.NgPacketOptions{Flags: flags})
		if err != nil {
			return fmt.Errorf("write capture file: %w", err)
		}
	}
	if err := e.writer.Flush(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

// finish writes how many packets each interface lost and closes the file.
func (e *evidence) finish(lost map[string]uint64) error {
	var failures []error
	for i, name := range e.names {
		failures = append(failures, e.writer.WriteInterfaceStats(i, pcapgo.NgInterfaceStatistics{
			PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: lost[name],
		}))
	}
	failures = append(failures, e.writer.Flush(), e.close())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("complete capture file: %w", err)
	}
	return nil
}

func (e *evidence) close() error { return e.file.Close() }
