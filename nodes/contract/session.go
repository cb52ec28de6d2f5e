package contract

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// Handshake makes an authenticated session of a fresh connection. Both sides do the same:
// send a greeting, read the partner's, send Confirm, read the partner's Confirm. Only that
// Confirm proves the partner: its MAC covers both nonces.
type Handshake struct {
	Key   Key
	Local Identity
	// Admit, where not nil, decides whether the partner that the greeting names is to be in
	// the group; an error ends the handshake before Confirm is sent. The partner is not
	// proved yet, so Admit must not change anything. It may block as long as the
	// connection's deadline allows.
	Admit func(partner Identity) error
	// Random is where the nonce comes from; nil is crypto/rand.
	Random io.Reader
}

// Do runs the handshake. conn must take in a greeting and a Confirm while the partner does
// not read, as every socket does, and should have a deadline. Do leaves conn open; after an
// error nothing more can be done with it.
func (h Handshake) Do(conn io.ReadWriter) (*Session, error) {
	s, err := h.do(conn)
	if err != nil {
		return nil, fmt.Errorf("XCF handshake: %w", err)
	}
	return s, nil
}

func (h Handshake) do(conn io.ReadWriter) (*Session, error) {
	random := h.Random
	if random == nil {
		random = rand.Reader
	}
	own := Greeting{Identity: h.Local}
	if _, err := io.ReadFull(random, own.Nonce[:]); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	frame, err := SealGreeting(h.Key, own)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(frame); err != nil {
		return nil, fmt.Errorf("send greeting: %w", err)
	}
	reader := bufio.NewReaderSize(conn, 64<<10)
	sealed, err := ReadFrame(reader, MaxGreeting)
	if err != nil {
		return nil, fmt.Errorf("receive greeting: %w", unexpected(err))
	}
	partner, err := OpenGreeting(h.Key, sealed)
	if err != nil {
		return nil, err
	}
	switch {
	case partner.Nonce == own.Nonce, partner.Member == h.Local.Member:
		return nil, errors.New("greeting: our own, sent back")
	case partner.Plex != h.Local.Plex:
		return nil, fmt.Errorf("greeting: of plex %s, want %s", partner.Plex, h.Local.Plex)
	}
	if h.Admit != nil {
		if err := h.Admit(partner.Identity); err != nil {
			return nil, err
		}
	}
	s := &Session{
		local: h.Local, partner: partner.Identity, conn: conn, reader: reader,
		sealer: Sealer{Key: h.Key, Sender: own.Nonce, Receiver: partner.Nonce},
		opener: Opener{Key: h.Key, Sender: partner.Nonce, Receiver: own.Nonce},
	}
	return s, s.confirm()
}

// Session is an authenticated connection. Send and Receive may run at the same time, but
// only one of each.
type Session struct {
	local, partner Identity
	conn           io.ReadWriter
	reader         *bufio.Reader
	sealer         Sealer
	opener         Opener
}

// MessageError is a frame that came from the partner, in its place, with a content that the
// contract refuses. The session goes on; the message is ignored.
type MessageError struct{ Err error }

func (e *MessageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the content, often a FieldError.
func (e *MessageError) Unwrap() error { return e.Err }

// Partner is who the partner proved to be.
func (s *Session) Partner() Identity { return s.partner }

// Sealer is a copy of the state that seals the frames of this side.
func (s *Session) Sealer() Sealer { return s.sealer }

// Send sends one message.
func (s *Session) Send(m Message) error {
	payload, err := s.Marshal(m)
	if err != nil {
		return err
	}
	return s.SendPayload(payload)
}

// Marshal makes the payload of a message in an envelope of this side. It changes nothing
// and may be called at any time.
func (s *Session) Marshal(m Message) ([]byte, error) {
	return Marshal(Envelope{Sender: s.local.Stack, Incarnation: s.local.Incarnation, Message: m})
}

// SendPayload seals each payload as the next frame and writes all frames at once.
func (s *Session) SendPayload(payloads ...[]byte) error {
	size := 0
	for _, payload := range payloads {
		size += 4 + len(payload) + MACSize
	}
	frames := make([]byte, 0, size)
	for _, payload := range payloads {
		var err error
		if frames, err = s.sealer.Append(frames, payload); err != nil {
			return fmt.Errorf("send to %s: %w", s.partner.Stack, err)
		}
	}
	if _, err := s.conn.Write(frames); err != nil {
		return fmt.Errorf("send to %s: %w", s.partner.Stack, err)
	}
	return nil
}

// Receive returns the next message. After a MessageError it may be called again; every
// other error ends the session: io.EOF where the partner ended the connection between two
// frames, ErrMAC, ErrOversized, ErrTruncated, or what the connection says.
func (s *Session) Receive() (Message, error) {
	m, err := s.receive(MaxFrame)
	if err != nil {
		return nil, err
	}
	if _, again := m.(Confirm); again {
		return nil, &MessageError{errors.New("CONFIRM after the handshake")}
	}
	return m, nil
}

func (s *Session) receive(limit int) (Message, error) {
	sealed, err := ReadFrame(s.reader, limit)
	if err != nil {
		return nil, err
	}
	payload, err := s.opener.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("frame %d: %w", s.opener.Sequence+1, err)
	}
	e, err := Unmarshal(payload)
	switch {
	case err != nil:
		return nil, &MessageError{err}
	case e.Sender != s.partner.Stack:
		return nil, &MessageError{&FieldError{"envelope", "sender", fmt.Sprintf("%s, want %s as in the greeting", e.Sender, s.partner.Stack)}}
	case e.Incarnation != s.partner.Incarnation:
		return nil, &MessageError{&FieldError{"envelope", "incarnation", fmt.Sprintf("%d, want %d as in the greeting", e.Incarnation, s.partner.Incarnation)}}
	}
	return e.Message, nil
}

// confirm exchanges Confirm.
func (s *Session) confirm() error {
	if err := s.Send(Confirm{}); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	m, err := s.receive(MaxGreeting)
	if err != nil {
		return fmt.Errorf("confirm: %w", unexpected(err))
	}
	if _, ok := m.(Confirm); !ok {
		return fmt.Errorf("confirm: %s in its place", m.Kind())
	}
	return nil
}

// unexpected marks an end of the stream inside the handshake.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the partner ended the connection")
	}
	return err
}
