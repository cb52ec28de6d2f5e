package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// routerPause is the pause before a router's BIRD that has ended is started again.
const routerPause = time.Second

// router is what a router does beside forwarding: it speaks the routing protocol, by a BIRD of its own.
type router struct{ node *node }

// startRouters starts the routing daemon of every router.
func (s *supervisor) startRouters() error {
	for _, n := range s.order {
		if n.router == nil {
			continue
		}
		begin := time.Now()
		if err := n.router.start(); err != nil {
			return fmt.Errorf("router %s: %w", n.plan.Name, err)
		}
		s.client.step(wire.StepRouter, n.plan.Name, s.plan.Advertising.Method, begin)
	}
	return nil
}

// start writes the configuration and starts BIRD.
func (r *router) start() error {
	n := r.node
	config := r.path(wire.BirdConfig)
	if err := os.WriteFile(config, []byte(birdConfig(n.plan, n.lab.plan.Advertising)), 0o644); err != nil {
		return fmt.Errorf("write configuration of bird: %w", err)
	}
	argv := []string{"bird", "-f", "-c", config, "-s", r.path(wire.BirdControl)}
	process, err := n.startLogged(argv, nil, wire.NodePath(n.plan.Name), r.path(wire.BirdLog))
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w; install BIRD 2 (Debian: bird2)", err)
	}
	if err != nil {
		return fmt.Errorf("start bird: %w", err)
	}
	go func() {
		exited := process.Exited()
		if n.lab.isStopping() {
			return
		}
		n.lab.log.Error("bird has ended and is started again", "router", n.plan.Name, "reason", exited.String(), "in", routerPause)
		select {
		case <-n.lab.stopping:
		case <-time.After(routerPause):
			if err := r.start(); err != nil {
				n.lab.log.Error("router speaks no routing protocol any more", "router", n.plan.Name, "error", err)
			}
		}
	}()
	return nil
}

// path is that of a file of the router.
func (r *router) path(name string) string {
	return filepath.Join(wire.NodePath(r.node.plan.Name), name)
}
