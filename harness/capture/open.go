package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gopacket/gopacket/pcapgo"
)

// Open reads the pcapng file of a capture that has ended. What it returns was stopped: its record
// is complete and never changes. The file is held in memory whole.
func Open(path string) (*Capture, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open capture file: %w", err)
	}
	defer file.Close()
	c := &Capture{recorded: make(chan struct{}), lost: map[string]uint64{}, stopping: true, stopped: true}
	if err := c.readFile(file); err != nil {
		return nil, fmt.Errorf("read capture file %s: %w", path, err)
	}
	return c, nil
}

func (c *Capture) readFile(file io.Reader) error {
	reader, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return err
	}
	for {
		data, info, options, err := reader.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		about, err := reader.Interface(info.InterfaceIndex)
		if err != nil {
			return err
		}
		if options.Flags == nil {
			return fmt.Errorf("packet %d has no direction", len(c.packets))
		}
		c.packets = append(c.packets, Packet{
			Interface: about.Name, Time: info.Timestamp, Length: info.Length, Data: data,
			Outgoing: options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound,
		})
	}
	for i := range reader.NInterfaces() {
		about, err := reader.Interface(i)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.sources, func(s *source) bool { return s.name == about.Name }) {
			return fmt.Errorf("interface %s is there twice", about.Name)
		}
		c.sources = append(c.sources, &source{name: about.Name})
		if about.Statistics.LastUpdate.IsZero() || about.Statistics.PacketsDropped == pcapgo.NgNoValue64 {
			return fmt.Errorf("it does not say how many packets %s lost: the capture was not completed", about.Name)
		}
		c.lost[about.Name] = about.Statistics.PacketsDropped
	}
	return nil
}
