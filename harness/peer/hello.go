package peer

import (
	"errors"
	"net"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// speak sends HELLOs.
func (p *Peer) speak() {
	ticker := time.NewTicker(p.config.Hello)
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent {
			continue
		}
		if err := p.SendHello(nil); err != nil && p.ctx.Err() == nil {
			p.add(Entry{What: Failed, Err: err})
		}
	}
}

// hear takes in the partner's HELLOs.
func (p *Peer) hear() {
	buffer := make([]byte, contract.MaxHello+1)
	for {
		n, _, err := p.config.Packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.add(Entry{What: Failed, Err: err})
			continue
		}
		h, err := contract.OpenHello(p.config.Key, buffer[:n])
		if err != nil || h.XCF != p.config.Partner {
			continue // of another peer, of a stranger, or our own
		}
		p.mu.Lock()
		unknown := p.partner.Incarnation != h.Incarnation && !p.silent
		p.partner = h
		p.dialIfOurs()
		p.mu.Unlock()
		p.add(Entry{What: HelloHeard, Hello: h})
		if unknown {
			if err := p.SendHello(nil); err != nil && p.ctx.Err() == nil {
				p.add(Entry{What: Failed, Err: err})
			}
		}
	}
}
