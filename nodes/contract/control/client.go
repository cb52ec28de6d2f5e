package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// maxBody bounds an answer: a CRT of a million rows is asked for in parts.
const maxBody = 64 << 20

// A Client asks one stack. It is safe for concurrent use and keeps a few connections open
// until Close.
type Client struct {
	http      *http.Client
	transport *http.Transport
}

// NewClient returns a client that reaches its stack through dial, which is called for each
// new connection.
func NewClient(dial func(context.Context) (net.Conn, error)) *Client {
	transport := &http.Transport{
		DialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConns: 2,
	}
	return &Client{http: &http.Client{Transport: transport}, transport: transport}
}

// NewUnixClient returns a client of the control socket at path.
func NewUnixClient(path string) *Client {
	return NewClient(func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	})
}

// Close gives the kept connections back. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// A StatusError is an answer with a status of 400 and above. It is errors.ErrUnsupported
// where the implementation does not offer what was asked (404, 405 and 501).
type StatusError struct {
	Operation string // such as "GET /v1/vcrt"
	Status    int
	Problem   string // the stack's own words, may be empty
	// Errors are the places in the text that was sent, where that is what is wrong.
	Errors []TextError
}

// Error names the operation, the status and the stack's own words.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: status %d", e.Operation, e.Status)
	if e.Problem != "" {
		text += ": " + e.Problem
	}
	return text
}

// Is makes errors.Is(err, errors.ErrUnsupported) true for what is not offered.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return target == errors.ErrUnsupported
	}
	return false
}

// Ready asks whether the stack is ready. A stack that is not yet, status 503, is an answer
// with Ready false and no error.
func (c *Client) Ready(ctx context.Context) (Ready, error) {
	return get[Ready](ctx, c, "/v1/ready", http.StatusServiceUnavailable)
}

// Home asks for the home list.
func (c *Client) Home(ctx context.Context) (Home, error) {
	return get[Home](ctx, c, "/v1/home")
}

// VIPADCFG asks for the definitions in force.
func (c *Client) VIPADCFG(ctx context.Context) (VIPADCFG, error) {
	return get[VIPADCFG](ctx, c, "/v1/vipadcfg")
}

// VIPADYN asks for every DVIPA that the stack knows.
func (c *Client) VIPADYN(ctx context.Context) (VIPADYN, error) {
	return get[VIPADYN](ctx, c, "/v1/vipadyn")
}

// VDPT asks for the destination port table.
func (c *Client) VDPT(ctx context.Context) (VDPT, error) {
	return get[VDPT](ctx, c, "/v1/vdpt")
}

// VCRT asks for the connection routing table, at most limit entries of it; 0 leaves the
// limit to the stack.
func (c *Client) VCRT(ctx context.Context, limit int) (VCRT, error) {
	return get[VCRT](ctx, c, limited("/v1/vcrt", limit))
}

// Ports asks for the ports of DVIPAs with CLUSTERPORTS, at most limit rows of each DVIPA; 0
// leaves the limit to the stack.
func (c *Client) Ports(ctx context.Context, limit int) (Ports, error) {
	return get[Ports](ctx, c, limited("/v1/ports", limit))
}

// InUse asks for the ports that sockets of the stack have.
func (c *Client) InUse(ctx context.Context) (InUse, error) {
	return get[InUse](ctx, c, "/v1/inuse")
}

// Obey has the stack obey definitions. Where the text is wrong nothing changes, and the error
// is a StatusError of status 400 with Errors.
func (c *Client) Obey(ctx context.Context, request ObeyRequest) (ObeyAnswer, error) {
	return call[ObeyAnswer](ctx, c, http.MethodPost, "/v1/obey", request)
}

// Vary gives the stack an operator's command. A request of wrong form is refused with status 400; what
// the stack cannot do as things are, with 409.
func (c *Client) Vary(ctx context.Context, request VaryRequest) (VaryAnswer, error) {
	return call[VaryAnswer](ctx, c, http.MethodPost, "/v1/vary", request)
}

// Group asks for the members of the XCF group.
func (c *Client) Group(ctx context.Context) (Group, error) {
	return get[Group](ctx, c, "/v1/group")
}

// Trace asks for the steps after number since; 0 asks for all that are kept. To go on, pass
// the Next of the answer.
func (c *Client) Trace(ctx context.Context, since uint64) (Trace, error) {
	return get[Trace](ctx, c, "/v1/trace?since="+strconv.FormatUint(since, 10))
}

// limited is path with the limit as its query, if there is one.
func limited(path string, limit int) string {
	if limit > 0 {
		path += "?limit=" + strconv.Itoa(limit)
	}
	return path
}

// get asks for path. The statuses in also carry a body of the same form as 200.
func get[Answer any](ctx context.Context, c *Client, path string, also ...int) (Answer, error) {
	return call[Answer](ctx, c, http.MethodGet, path, nil, also...)
}

// call asks for path with a body, nil for none. The statuses in also carry an answer of the
// same form as 200.
func call[Answer any](ctx context.Context, c *Client, method, path string, body any, also ...int) (Answer, error) {
	var answer, none Answer
	operation := method + " " + path
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return none, fmt.Errorf("%s: %w", operation, err)
		}
		content = bytes.NewReader(data)
	}
	// The host is never looked up: the dial function leads to the stack.
	request, err := http.NewRequestWithContext(ctx, method, "http://stack"+path, content)
	if err != nil {
		return none, fmt.Errorf("%s: %w", operation, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return none, err // already says operation and address
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return none, fmt.Errorf("%s: read the answer: %w", operation, err)
	}
	if response.StatusCode != http.StatusOK && !slices.Contains(also, response.StatusCode) {
		var problem Problem
		// A body of another form is no reason to hide the status.
		_ = json.Unmarshal(data, &problem)
		return none, &StatusError{Operation: operation, Status: response.StatusCode, Problem: problem.Error, Errors: problem.Errors}
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return none, fmt.Errorf("%s: answer is not of its form: %w", operation, err)
	}
	return answer, nil
}
