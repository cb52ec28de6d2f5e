package bench

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// nginxConfig is the template of a small nginx, as a topology file would have it.
//
//go:embed topologies/nginx.conf
var nginxConfig string

// sysplexService is the DVIPA and port of sysplexOf.
var sysplexService = netip.MustParseAddrPort("192.168.44.100:80")

// laboratory measures, for 5 and 32 stacks, the time from asking for a Sysplex until a client's
// first distributed connection has succeeded, and the time from asking for its end until every
// process is gone.
func laboratory(ctx context.Context, config Config, results *Results) error {
	for _, stacks := range []int{5, 32} {
		plan, err := sysplexOf(stacks).Plan()
		if err != nil {
			return err
		}
		var ups, downs []float64
		for round := range config.Rounds {
			config.Progress(fmt.Sprintf("lab: %d stacks, round %d of %d", stacks, round+1, config.Rounds))
			up, down, err := upAndDown(ctx, config, plan)
			if err != nil {
				return fmt.Errorf("%d stacks: %w", stacks, err)
			}
			ups, downs = append(ups, up.Seconds()), append(downs, down.Seconds())
		}
		results.add(fmt.Sprintf("lab.up_s.%d", stacks), median(ups), "s")
		results.add(fmt.Sprintf("lab.down_s.%d", stacks), median(downs), "s")
	}
	return nil
}

func upAndDown(ctx context.Context, config Config, plan topo.Plan) (up, down time.Duration, err error) {
	asked := time.Now()
	l, err := lab.Up(ctx, &plan, config.options("bench-lab"))
	if err != nil {
		return 0, 0, err
	}
	p := &plex{config: config, lab: l, control: l.Control(routing)}
	defer p.close()
	if err := p.reachable(ctx, client, sysplexService); err != nil {
		return 0, 0, err
	}
	up = time.Since(asked)
	asked = time.Now()
	err = l.Down(ctx)
	return up, time.Since(asked), err
}

// sysplexOf is a Sysplex like that of Figure 9 in any size: MVS1 owns a DVIPA and is, with
// the last stack, at the outside; a client is behind a router; three stacks inside run nginx.
func sysplexOf(stacks int) *topo.Topology {
	t := &topo.Topology{
		Plex: "BENCH",
		Networks: []topo.Network{
			{Name: "xcf", Subnet: "10.1.0.0/24", XCF: true},
			{Name: "net44", Subnet: "192.168.44.0/24"},
			{Name: "net46", Subnet: "192.168.46.0/24"},
		},
		Routers: []topo.Router{{Name: router, Links: []topo.Link{
			{Network: "net44", Address: "192.168.44.254"}, {Network: "net46", Address: "192.168.46.254"},
		}}},
		Hosts: []topo.Host{{Name: client, Links: []topo.HostLink{{Network: "net46", Address: "192.168.46.1"}}}},
		Applications: []topo.Application{{
			Name: "APPA", On: []string{"MVS2", "MVS3", "MVS4"},
			Command: []string{"nginx", "-p", "{{.Dir}}", "-e", "stderr", "-c", "{{.Dir}}/nginx.conf"},
			Files:   map[string]string{"nginx.conf": nginxConfig},
		}},
	}
	for i := 1; i <= stacks; i++ {
		stack := topo.Stack{Name: fmt.Sprintf("MVS%d", i), XCF: fmt.Sprintf("10.1.0.%d", i)}
		if i == 1 || i == stacks {
			stack.Links = []topo.Link{{Network: "net44", Address: fmt.Sprintf("192.168.44.%d", i)}}
		}
		if i == 1 {
			stack.Profile = "VIPADYNAMIC\n VIPADEFINE 255.255.255.0 192.168.44.100\n" +
				" VIPADISTRIBUTE 192.168.44.100 PORT 80 DESTIP ALL\nENDVIPADYNAMIC\n"
		}
		t.Stacks = append(t.Stacks, stack)
	}
	return t
}
