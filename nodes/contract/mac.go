package contract

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"sync"
)

// What a MAC is computed over begins with one of these, so that bytes taken from one place
// mean nothing at another.
const (
	contextHello    = "plexlab xcf hello 1\x00"
	contextGreeting = "plexlab xcf greeting 1\x00"
	contextFrame    = "plexlab xcf frame 1\x00"
)

// ErrMAC: the MAC does not belong to the bytes before it. The sender has another plex key,
// the bytes were changed, or a frame was repeated, left out or taken from another connection.
var ErrMAC = errors.New("MAC does not match (another plex key, changed bytes, or a frame out of its place)")

// ErrTruncated: fewer bytes than a MAC.
var ErrTruncated = errors.New("shorter than its MAC")

// hashes has a pool of HMAC-SHA-256 for each key: to begin one anew costs as much as a HELLO.
var hashes sync.Map

func hashFor(key Key) (h hash.Hash, pool *sync.Pool) {
	known, there := hashes.Load(key)
	if !there {
		known, _ = hashes.LoadOrStore(key, &sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }})
	}
	pool = known.(*sync.Pool)
	h = pool.Get().(hash.Hash)
	h.Reset()
	return h, pool
}

// appendMAC appends the HMAC-SHA-256 of the parts to dst.
func appendMAC(dst []byte, key Key, parts ...[]byte) []byte {
	h, pool := hashFor(key)
	defer pool.Put(h)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(dst)
}

// splitMAC parts payload and MAC of sealed bytes.
func splitMAC(sealed []byte) (payload, mac []byte, err error) {
	if len(sealed) < MACSize {
		return nil, nil, ErrTruncated
	}
	cut := len(sealed) - MACSize
	return sealed[:cut:cut], sealed[cut:], nil
}

// open returns the payload of sealed bytes whose MAC covers the parts and the payload.
func open(key Key, sealed []byte, parts ...[]byte) ([]byte, error) {
	payload, mac, err := splitMAC(sealed)
	if err != nil {
		return nil, err
	}
	var want [MACSize]byte
	if !hmac.Equal(mac, appendMAC(want[:0], key, append(parts, payload)...)) {
		return nil, ErrMAC
	}
	return payload, nil
}
