package contract

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzFrame: whatever the stream, a frame is whole and within its limit, or an error.
func FuzzFrame(f *testing.F) {
	sealer := Sealer{Key: testKey, Sender: Nonce{1}, Receiver: Nonce{2}}
	frame, err := sealer.Append(nil, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		opener := Opener{Key: testKey, Sender: Nonce{1}, Receiver: Nonce{2}}
		for {
			before := r.Len()
			sealed, err := ReadFrame(r, MaxFrame)
			if err != nil {
				if before > 0 && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%d bytes of a frame passed over: %v", before, err)
				}
				return
			}
			if len(sealed) < MACSize || len(sealed) > MaxFrame || len(sealed)+4 != before-r.Len() {
				t.Fatalf("frame of %d bytes out of %d", len(sealed), before-r.Len())
			}
			if payload, err := opener.Open(sealed); err == nil {
				again := Sealer{Key: testKey, Sender: Nonce{1}, Receiver: Nonce{2}, Sequence: opener.Sequence - 1}
				if frame, err := again.Append(nil, payload); err != nil || !bytes.Equal(frame[4:], sealed) {
					t.Fatalf("an opened frame is not the one that is sealed, error %v", err)
				}
			}
		}
	})
}

// FuzzEnvelope: what Unmarshal takes, Marshal takes, and it means the same again.
func FuzzEnvelope(f *testing.F) {
	for _, m := range messages() {
		payload, err := Marshal(Envelope{Sender: "MVS1", Incarnation: 5, Message: m})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		first, err := Unmarshal(payload)
		if err != nil {
			return
		}
		again, err := Marshal(first)
		if err != nil {
			t.Fatalf("%#v was received and cannot be sent: %v", first, err)
		}
		second, err := Unmarshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second, compare); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzHello: the same for datagrams, rightly keyed and not.
func FuzzHello(f *testing.F) {
	datagram, err := SealHello(testKey, hello())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(datagram, false)
	f.Add(datagram[:len(datagram)-MACSize], true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal {
			b = SealHelloPayload(testKey, b)
		}
		first, err := OpenHello(testKey, b)
		if err != nil {
			return
		}
		again, err := SealHello(testKey, first)
		if err != nil {
			t.Fatalf("%#v was received and cannot be sent: %v", first, err)
		}
		second, err := OpenHello(testKey, again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second, compare); diff != "" {
			t.Fatal(diff)
		}
	})
}
