package portfile

import "math/bits"

// A Bitmap is BitmapSize bytes: a bit a port.
type Bitmap []byte

// words is the number of 64-bit words of a bitmap.
const words = Ports / 64

// Available is the cluster-wide bitmap of an entry: 1 = available.
func Available(entry []byte) Bitmap { return bitmapAt(entry, AvailableOffset) }

// Unique is the bitmap of the ports of an entry that are held as unique.
func Unique(entry []byte) Bitmap { return bitmapAt(entry, UniqueOffset) }

// Usage is the bitmap of the ports that the stack of a slot uses. The slot must be Prepared.
func Usage(entry []byte, slot int) Bitmap { return bitmapAt(entry, usageOffset(slot)) }

func bitmapAt(entry []byte, offset int) Bitmap {
	return Bitmap(entry[offset : offset+BitmapSize : offset+BitmapSize])
}

// Has says whether the bit of a port is 1.
func (b Bitmap) Has(port uint16) bool { return b[port/8]>>(port%8)&1 == 1 }

// Count is the number of bits that are 1.
func (b Bitmap) Count() int {
	n := 0
	for w := range words {
		n += bits.OnesCount64(b.word(w))
	}
	return n
}

// CountIn is the number of ports of a pool whose bit is 1.
func (b Bitmap) CountIn(pool Pool) int {
	n := 0
	for w := int(pool.First) / 64; w <= int(pool.Last)/64; w++ {
		n += bits.OnesCount64(b.within(w, pool.First, pool.Last))
	}
	return n
}

// Next is the first port from first to last whose bit is 1.
func (b Bitmap) Next(first, last uint16) (uint16, bool) {
	for w := int(first) / 64; w <= int(last)/64; w++ {
		if word := b.within(w, first, last); word != 0 {
			return uint16(w*64 + bits.TrailingZeros64(word)), true
		}
	}
	return 0, false
}

// within is a word with the bits of ports from first to last alone.
func (b Bitmap) within(w int, first, last uint16) uint64 {
	word := b.word(w)
	if w == int(first)/64 {
		word &= ^uint64(0) << (first % 64)
	}
	if w == int(last)/64 {
		word &= ^uint64(0) >> (63 - last%64)
	}
	return word
}

// Ports yields the ports whose bit is 1, in order.
func (b Bitmap) Ports(yield func(uint16) bool) {
	for w := range words {
		for word := b.word(w); word != 0; word &= word - 1 {
			if !yield(uint16(w*64 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}

func (b Bitmap) word(w int) uint64 { return le.Uint64(b[8*w:]) }

// bit is where the word with the bit of a port stands in an entry, and the bit in it.
func bit(bitmap int, port uint16) (offset int, mask uint64) {
	return bitmap + int(port)/64*8, 1 << (port % 64)
}
