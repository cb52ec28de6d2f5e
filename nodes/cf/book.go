package cf

import (
	"maps"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// A book is what this stack itself holds, apart from any file, so that it can be registered in the
// next one.
type book struct {
	mu     sync.Mutex
	dvipas map[netip.Addr]*holding
	// inherited are ports that sockets had before the stack was started, see Config.InUse.
	inherited map[netip.Addr][]uint16
}

// holding is what this stack holds of a DVIPA, a bit a port as in portfile.Bitmap. None of its
// ports means that the DVIPA has an entry.
type holding struct {
	used, unique [portfile.Ports / 64]atomic.Uint64
	interrupted  interrupted
}

// of returns what is held of a DVIPA, and notes that it has an entry.
func (b *book) of(dvipa netip.Addr) *holding {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.dvipas[dvipa]
	if h == nil {
		h = &holding{}
		b.dvipas[dvipa] = h
	}
	return h
}

func (b *book) inherit(dvipa netip.Addr, port uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inherited == nil {
		b.inherited = map[netip.Addr][]uint16{}
	}
	b.inherited[dvipa] = append(b.inherited[dvipa], port)
}

func (b *book) takeInherited() map[netip.Addr][]uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	inherited := b.inherited
	b.inherited = nil
	return inherited
}

func (h *holding) add(port uint16, use Use) {
	h.used[port/64].Or(1 << (port % 64))
	if use == Unique {
		h.unique[port/64].Or(1 << (port % 64))
	}
}

func (h *holding) remove(port uint16) {
	h.used[port/64].And(^(uint64(1) << (port % 64)))
	h.unique[port/64].And(^(uint64(1) << (port % 64)))
}

// use is how a port that is held is held.
func (h *holding) use(port uint16) Use {
	if h.unique[port/64].Load()>>(port%64)&1 == 1 {
		return Unique
	}
	return Shared
}

func (h *holding) has(port uint16) bool { return h.used[port/64].Load()>>(port%64)&1 == 1 }

func (h *holding) ports() []Held {
	var ports []Held
	for w := range h.used {
		for word := h.used[w].Load(); word != 0; word &= word - 1 {
			port := uint16(64*w + bits.TrailingZeros64(word))
			ports = append(ports, Held{port, h.use(port)})
		}
	}
	return ports
}

// all are the holdings there are.
func (b *book) all() map[netip.Addr]*holding {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.dvipas)
}

// any says whether there is something to register: a port that is held.
func (b *book) any() bool {
	for _, h := range b.all() {
		for w := range h.used {
			if h.used[w].Load() != 0 {
				return true
			}
		}
	}
	return false
}
