package contract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrOversized: more bytes than a datagram or frame may have.
var ErrOversized = errors.New("oversized")

// Nonce is the random number that each side of a connection puts into its greeting.
type Nonce [NonceSize]byte

// ReadFrame reads one frame from r and returns its sealed bytes, payload and MAC, not yet
// verified. limit is MaxGreeting until the partner is authenticated and MaxFrame after.
// It returns io.EOF if the stream ended before the frame, io.ErrUnexpectedEOF inside it.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	switch {
	case length < MACSize:
		return nil, fmt.Errorf("frame of %d bytes: %w", length, ErrTruncated)
	case uint64(length) > uint64(limit):
		return nil, fmt.Errorf("frame of %d bytes, at most %d: %w", length, limit, ErrOversized)
	}
	sealed := make([]byte, length)
	if _, err := io.ReadFull(r, sealed); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return sealed, nil
}

// beginFrame appends the length of a frame with this payload, and the payload.
func beginFrame(dst, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)+MACSize))
	return append(dst, payload...)
}

// frameKey is what the MAC of a frame after the greetings covers besides the payload.
func frameKey(sender, receiver Nonce, sequence uint64) []byte {
	b := make([]byte, 0, len(contextFrame)+2*NonceSize+8)
	b = append(b, contextFrame...)
	b = append(b, sender[:]...)
	b = append(b, receiver[:]...)
	return binary.BigEndian.AppendUint64(b, sequence)
}

// Sealer makes the frames of one direction of a connection after the greetings. A copy
// goes on by itself: a scripted peer changes a copy to send what a stack never would.
type Sealer struct {
	Key              Key
	Sender, Receiver Nonce
	// Sequence is the number of the last frame; the first frame has 1.
	Sequence uint64
}

// Append appends the next frame with this payload to dst.
func (s *Sealer) Append(dst, payload []byte) ([]byte, error) {
	if len(payload) > MaxFrame-MACSize {
		return dst, fmt.Errorf("payload of %d bytes, at most %d: %w", len(payload), MaxFrame-MACSize, ErrOversized)
	}
	s.Sequence++
	dst = beginFrame(dst, payload)
	return appendMAC(dst, s.Key, frameKey(s.Sender, s.Receiver, s.Sequence), payload), nil
}

// Opener verifies the frames of one direction of a connection after the greetings.
type Opener struct {
	Key              Key
	Sender, Receiver Nonce
	// Sequence is the number of the last frame that was verified.
	Sequence uint64
}

// Open returns the payload of the next frame. It fails with ErrMAC on any other frame than
// the next one of this direction, and may be called again.
func (o *Opener) Open(sealed []byte) ([]byte, error) {
	payload, err := open(o.Key, sealed, frameKey(o.Sender, o.Receiver, o.Sequence+1))
	if err != nil {
		return nil, err
	}
	o.Sequence++
	return payload, nil
}
