package contract

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// Identity is a member as it introduces itself to another.
type Identity struct {
	Plex string
	Member
}

// Greeting is the first frame in either direction of a connection. By itself it proves
// nothing: it may be the repetition of an old one.
type Greeting struct {
	Identity
	Nonce Nonce
}

// SealGreeting makes the whole frame of a greeting, its length included.
func SealGreeting(key Key, g Greeting) ([]byte, error) {
	wire := &xcfpb.Greeting{
		Plex: g.Plex, Stack: g.Stack, XcfAddress: addressBytes(g.XCF),
		Incarnation: g.Incarnation, Nonce: g.Nonce[:], Outside: g.Outside,
	}
	if _, err := decodeGreeting(wire); err != nil {
		return nil, err
	}
	payload, err := deterministic.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return SealGreetingPayload(key, payload), nil
}

// SealGreetingPayload makes a greeting's frame of any payload; for scripted peers.
func SealGreetingPayload(key Key, payload []byte) []byte {
	return appendMAC(beginFrame(nil, payload), key, []byte(contextGreeting), payload)
}

// OpenGreeting verifies and reads the sealed bytes of a greeting, as ReadFrame returns them.
func OpenGreeting(key Key, sealed []byte) (Greeting, error) {
	payload, err := open(key, sealed, []byte(contextGreeting))
	if err != nil {
		return Greeting{}, fmt.Errorf("greeting: %w", err)
	}
	wire := new(xcfpb.Greeting)
	if err := proto.Unmarshal(payload, wire); err != nil {
		return Greeting{}, fmt.Errorf("greeting: not a protobuf message: %w", err)
	}
	return decodeGreeting(wire)
}

func decodeGreeting(wire *xcfpb.Greeting) (Greeting, error) {
	d := decoder{message: "greeting"}
	var g Greeting
	g.Plex = d.name("plex", wire.GetPlex(), MaxName)
	g.Stack = d.name("stack", wire.GetStack(), MaxName)
	g.XCF = d.own("xcf_address", wire.GetXcfAddress())
	g.Incarnation = d.nonzero("incarnation", wire.GetIncarnation())
	g.Outside = wire.GetOutside()
	if copy(g.Nonce[:], wire.GetNonce()) != NonceSize || len(wire.GetNonce()) != NonceSize {
		d.fail("nonce", "%d bytes, want %d", len(wire.GetNonce()), NonceSize)
	}
	return g, d.error()
}
