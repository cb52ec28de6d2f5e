// Package etcd is what benchmarks compare the port file with: one node of etcd as Debian packages
// it, and ports as its keys, created if absent.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A Server is one etcd node on the loopback.
type Server struct {
	// Endpoint is http://127.0.0.1:PORT.
	Endpoint string

	command *exec.Cmd
	log     *os.File
}

// Limits of the start.
const (
	startLimit = 20 * time.Second
	startPause = 10 * time.Millisecond
)

// Start starts a node that keeps its data in a directory, and waits until it has created and
// removed a key. What it says goes to a file there.
func Start(ctx context.Context, dir string) (_ *Server, err error) {
	client, err := freeURL()
	if err != nil {
		return nil, err
	}
	peer, err := freeURL()
	if err != nil {
		return nil, err
	}
	s := &Server{Endpoint: client}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	s.command = exec.CommandContext(ctx, "etcd", "--name", "bench", "--data-dir", filepath.Join(dir, "data"),
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "bench="+peer, "--log-level", "error")
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd (package etcd-server): %w", err), s.log.Close())
	}
	if err := s.ready(ctx); err != nil {
		words, _ := os.ReadFile(s.log.Name())
		s.Close()
		return nil, fmt.Errorf("etcd is not ready after %v: %w: %s", startLimit, err, words)
	}
	return s, nil
}

// ready waits until the node serves.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := NewClient(s.Endpoint)
	defer client.Close()
	ticker := time.NewTicker(startPause)
	defer ticker.Stop()
	for {
		_, err := client.Create(ctx, "ready", "")
		if err == nil {
			_, err = client.Delete(ctx, "ready")
		}
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Close ends the node.
func (s *Server) Close() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait() // killed, so it fails
	s.log.Close()
}

// freeURL is one on the loopback at which nobody listens.
func freeURL() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return "http://" + l.Addr().String(), l.Close()
}
