package bench

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

var (
	//go:embed topologies/keepalived.conf
	keepalivedConfig string
	// vrrpService is what keepalived keeps reachable: a virtual address of its own, and an echo that
	// both hosts run.
	vrrpService = netip.MustParseAddrPort("192.168.44.200:7001")
)

// The advertisement intervals that are measured, in seconds, as keepalived's configuration has them.
const (
	vrrpDefault = "" // VRRP version 2: one a second
	vrrpFast    = "0.01"
)

// vrrp is keepalived with a server on two hosts.
type vrrp struct {
	plex  *plex
	dir   string // configurations and process IDs
	hosts map[string]*vrrpHost
}

type vrrpHost struct {
	priority int
	daemon   *lab.Process
	server   *program
}

// newVRRP starts keepalived and its servers on MVS1, with the higher priority, and MVS4.
func newVRRP(ctx context.Context, p *plex, advertisement string) (*vrrp, error) {
	dir, err := os.MkdirTemp("", "plexlab-bench-vrrp-")
	if err != nil {
		return nil, err
	}
	v := &vrrp{plex: p, dir: dir, hosts: map[string]*vrrpHost{routing: {priority: 150}, backup: {priority: 100}}}
	for name, host := range v.hosts {
		if err := v.write(name, advertisement, host.priority); err != nil {
			v.close()
			return nil, err
		}
		if err := v.start(ctx, name); err != nil {
			v.close()
			return nil, err
		}
	}
	if err := v.await(ctx); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// write writes the configuration of a host.
func (v *vrrp) write(name, advertisement string, priority int) error {
	t, err := template.New("keepalived.conf").Parse(keepalivedConfig)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, map[string]any{
		"Advertisement": advertisement, "Priority": priority, "Address": vrrpService.Addr(),
	}); err != nil {
		return err
	}
	return os.WriteFile(v.file(name, "conf"), text.Bytes(), 0o600) // keepalived refuses what others may write
}

func (v *vrrp) file(name, kind string) string { return filepath.Join(v.dir, name+"."+kind) }

// start starts keepalived and its server on a host.
func (v *vrrp) start(ctx context.Context, name string) error {
	host := v.hosts[name]
	server, err := startFavoured(ctx, v.plex, name, "", "echo")
	if err != nil {
		return err
	}
	host.server = server
	if _, err := server.command(fmt.Sprintf("serve 0.0.0.0:%d", vrrpService.Port())); err != nil {
		return err
	}
	host.daemon, err = v.plex.lab.Start(ctx, name, lab.ExecSpec{Argv: []string{
		"keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", v.file(name, "conf"),
		"--pid", v.file(name, "pid"), "--vrrp_pid", v.file(name, "vrrp.pid"),
	}})
	return err
}

// restart is start on MVS1 after it failed. A machine that failed comes back without the virtual
// address, which the namespace has kept.
func (v *vrrp) restart(ctx context.Context) error {
	v.hosts[routing].end()
	if _, err := v.plex.output(ctx, routing, "ip", "address", "flush", "dev", "ext0", "to", vrrpService.Addr().String()); err != nil {
		return err
	}
	if err := v.start(ctx, routing); err != nil {
		return err
	}
	return v.await(ctx)
}

// vrrpLimit bounds the wait until the host with the higher priority has the address.
const vrrpLimit = 15 * time.Second

// await waits until MVS1 has the address, and MVS4 has not.
func (v *vrrp) await(ctx context.Context) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.Now().Add(vrrpLimit); ; <-ticker.C {
		first, err := v.has(ctx, routing)
		if err != nil {
			return err
		}
		second, err := v.has(ctx, backup)
		if err != nil {
			return err
		}
		if first && !second {
			return nil
		}
		if time.Now().After(limit) {
			words, err := v.hosts[routing].daemon.Output()
			return errors.Join(fmt.Errorf("keepalived on %s has not taken %s within %v: %s", routing, vrrpService.Addr(), vrrpLimit, words), err)
		}
	}
}

// has says whether a host has the virtual address.
func (v *vrrp) has(ctx context.Context, name string) (bool, error) {
	output, err := v.plex.output(ctx, name, "ip", "-o", "address", "show", "dev", "ext0", "to", vrrpService.Addr().String())
	return strings.TrimSpace(string(output)) != "", err
}

// end ends what runs on a host.
func (h *vrrpHost) end() {
	if h.daemon != nil {
		h.daemon.Close()
	}
	if h.server != nil {
		h.server.end()
	}
	h.daemon, h.server = nil, nil
}

// close ends both daemons and takes the address away, so that others may follow.
func (v *vrrp) close() {
	for name, host := range v.hosts {
		host.end()
		_, _ = v.plex.output(context.Background(), name, "ip", "address", "flush", "dev", "ext0", "to", vrrpService.Addr().String())
	}
	os.RemoveAll(v.dir)
}
