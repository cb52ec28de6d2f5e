package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/nodes/profile"
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

// knownTimeout bounds the wait until routers know the DVIPAs, beside four times their hello interval: OSPF
// elects for 2 seconds, and changes what it has told of a link after 5 (RFC 2328, MinLSInterval).
const knownTimeout = 15 * time.Second

// awaitRoutes waits until the kernel of every router has a route to every DVIPA that a primary owns and
// advertises, so that whoever uses the lab once it is ready finds them. A lab where that does not come about is
// ready all the same: an implementation may have its reasons, and the log names what is missing.
func (s *supervisor) awaitRoutes(ctx context.Context) error {
	begin := time.Now()
	missing := s.advertised()
	wanted := len(missing)
	if wanted == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, knownTimeout+4*time.Duration(s.plan.Advertising.HelloS)*time.Second, errRoutesMissing)
	defer cancel()
	next := newPace()
	for {
		var err error
		missing = slices.DeleteFunc(missing, func(w wantedRoute) bool {
			known, failed := s.fabric.HasRoute(w.router, w.to)
			err = errors.Join(err, failed)
			return known
		})
		switch {
		case err != nil:
			return err
		case len(missing) == 0:
			s.client.step(wire.StepRoutes, "", fmt.Sprintf("routers have %d", wanted), begin)
			return nil
		}
		select {
		case <-next.look():
		case <-ctx.Done():
			if context.Cause(ctx) != errRoutesMissing {
				return context.Cause(ctx)
			}
			s.log.Warn("routers do not know every DVIPA", "missing", fmt.Sprint(missing))
			s.client.step(wire.StepRoutes, "", fmt.Sprintf("missing: %v", missing), begin)
			return nil
		}
	}
}

var errRoutesMissing = errors.New("routes are missing")

// A wantedRoute is the host route of a DVIPA in a router.
type wantedRoute struct {
	router string
	to     netip.Prefix
}

// String is what a person is told.
func (w wantedRoute) String() string { return w.router + " to " + w.to.String() }

// advertised is what routers are told once the plex has settled.
func (s *supervisor) advertised() []wantedRoute {
	var all []wantedRoute
	for _, n := range s.order {
		if n.stack == nil || len(n.plan.Stack.Outside) == 0 {
			continue
		}
		parsed, err := profile.Parse(wire.ProfileName, []byte(n.plan.Stack.Profile), nil)
		if err != nil {
			continue // the implementation has seen it, and is settled
		}
		for _, define := range parsed.Defines {
			for _, dvipa := range define.Addresses {
				for _, r := range s.order {
					if r.router != nil {
						all = append(all, wantedRoute{r.plan.Name, netip.PrefixFrom(dvipa.Addr, dvipa.Addr.BitLen())})
					}
				}
			}
		}
	}
	return all
}
