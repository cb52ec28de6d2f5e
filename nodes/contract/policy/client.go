package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// maxAnswer bounds an answer in bytes: 128 targets take a few thousand.
const maxAnswer = 64 << 10

// An Agent is a policy agent, from the side of those who ask it. It is safe for concurrent use and
// keeps a connection open until Close.
type Agent struct {
	socket    string
	transport *http.Transport
}

// NewAgent returns the agent that listens, or will listen, on the Unix socket at path.
func NewAgent(path string) *Agent {
	return &Agent{socket: path, transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", path)
		},
		MaxIdleConns: 1,
	}}
}

// Close gives the kept connection back.
func (a *Agent) Close() { a.transport.CloseIdleConnections() }

// Weights asks for the weights of the targets of one service, as long as ctx lasts. Every error, those of an answer
// that makes no sense included, names the agent; there are no weights then.
func (a *Agent) Weights(ctx context.Context, request Request) (Answer, error) {
	answer, err := a.ask(ctx, request)
	if err == nil {
		err = answer.check()
	}
	if err != nil {
		return Answer{}, fmt.Errorf("policy agent %s: %w", a.socket, err)
	}
	return answer, nil
}

func (a *Agent) ask(ctx context.Context, request Request) (Answer, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Answer{}, err
	}
	// The host is never looked up: the transport leads to the socket.
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/v1/weights", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	post.Header.Set("Content-Type", "application/json")
	response, err := a.transport.RoundTrip(post)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	case response.StatusCode != http.StatusOK:
		return Answer{}, fmt.Errorf("status %d: %.80q", response.StatusCode, strings.TrimSpace(string(text)))
	case len(text) > maxAnswer:
		return Answer{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	var answer Answer
	if err := json.Unmarshal(text, &answer); err != nil {
		return Answer{}, fmt.Errorf("the answer is not of its form: %w", err)
	}
	return answer, nil
}

func (a Answer) check() error {
	if a.Weights == nil {
		return errors.New("the answer has no weights")
	}
	for xcf, weight := range a.Weights {
		if weight < 1 || weight > contract.MaxWeight {
			return fmt.Errorf("weight %d of %s, want 1 to %d", weight, xcf, contract.MaxWeight)
		}
	}
	return nil
}
