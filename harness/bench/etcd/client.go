package etcd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Client makes the two calls that claiming takes. They are gRPC calls as every client of etcd
// makes them; since a unary call is one HTTP/2 request with a length before the message, it takes
// no more than net/http, where etcd's own client module brings a dozen others with it.
type Client struct {
	endpoint string
	http     http.Client
}

// NewClient is a client of a server at http://ADDRESS:PORT; it has one connection.
func NewClient(endpoint string) *Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &Client{endpoint, http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true}}}
}

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create puts a key if it does not exist, and says whether it did.
func (c *Client) Create(ctx context.Context, key, value string) (bool, error) {
	var compare, put, operation, txn []byte
	const createRevision = 1 // Compare.CREATE; the result 0 is EQUAL
	compare = appendVarint(compare, 2, createRevision)
	compare = appendBytes(compare, 3, []byte(key))
	compare = appendVarint(compare, 5, 0) // a key that does not exist has revision 0
	put = appendBytes(put, 1, []byte(key))
	put = appendBytes(put, 2, []byte(value))
	operation = appendBytes(operation, 2, put)
	txn = appendBytes(txn, 1, compare)
	txn = appendBytes(txn, 2, operation)
	succeeded, err := c.call(ctx, "Txn", txn)
	return succeeded == 1, err
}

// Delete removes a key and says whether it existed.
func (c *Client) Delete(ctx context.Context, key string) (bool, error) {
	deleted, err := c.call(ctx, "DeleteRange", appendBytes(nil, 1, []byte(key)))
	return deleted == 1, err
}

// outcomeField is the number of the field of either response that matters: succeeded and deleted.
const outcomeField = 2

// call makes a unary call of etcd's service KV and returns the outcome field of its response.
// Field numbers here and above are those of etcd's rpc.proto.
func (c *Client) call(ctx context.Context, method string, message []byte) (outcome uint64, err error) {
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // not compressed
	address, err := url.JoinPath(c.endpoint, "etcdserverpb.KV", method)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(append(frame, message...)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	response, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return 0, fmt.Errorf("etcd %s: %w", method, err)
	}
	for _, header := range []http.Header{response.Header, response.Trailer} { // an error alone comes without a body
		if status := header.Get("Grpc-Status"); status != "" && status != "0" {
			return 0, fmt.Errorf("etcd %s: status %s: %s", method, status, header.Get("Grpc-Message"))
		}
	}
	if len(body) < len(frame) {
		return 0, fmt.Errorf("etcd %s: HTTP status %s without a message", method, response.Status)
	}
	return field(body[len(frame):], outcomeField)
}

// field finds a number in a message, 0 where it is left out.
func field(message []byte, wanted protowire.Number) (uint64, error) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0, fmt.Errorf("etcd: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if number == wanted {
			value, n := protowire.ConsumeVarint(message)
			return value, errors.Join(protowire.ParseError(min(n, 0)))
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return 0, fmt.Errorf("etcd: %w", protowire.ParseError(n))
		}
		message = message[n:]
	}
	return 0, nil
}

func appendVarint(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

func appendBytes(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}
