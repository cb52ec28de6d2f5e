package supervisor

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"text/template"

	"github.com/plexlab-dev/plexlab/topo"
)

// birdConfig is the configuration of a router's BIRD. The kernel's table follows what stacks advertise;
// routes between the networks are in it already, from the plan.
func birdConfig(plan topo.PlanNode, advertising topo.Advertising) string {
	var addresses []netip.Prefix
	for _, l := range plan.Links {
		addresses = append(addresses, l.Addresses...)
	}
	var text strings.Builder
	err := birdTemplate().Execute(&text, map[string]any{
		"ID": routerID(plan.Links, addresses), "Links": plan.Links, "Advertising": advertising, "Families": birdFamilies(addresses),
	})
	if err != nil {
		panic(err) // the template names what there is: its test says so
	}
	return text.String()
}

// routerID names a router by its first IPv4 address, or else by the end of its first MAC address.
func routerID(links []topo.PlanLink, addresses []netip.Prefix) netip.Addr {
	for _, a := range addresses {
		if a.Addr().Is4() {
			return a.Addr()
		}
	}
	mac, _ := net.ParseMAC(links[0].MAC) // the link was built with it
	return netip.AddrFrom4([4]byte(mac[2:]))
}

// A birdFamily is a family of addresses in BIRD's words.
type birdFamily struct {
	Net, OSPF, RIP string
}

func birdFamilies(addresses []netip.Prefix) []birdFamily {
	var four, six bool
	for _, a := range addresses {
		four, six = four || a.Addr().Is4(), six || a.Addr().Is6()
	}
	var families []birdFamily
	if four {
		families = append(families, birdFamily{"ipv4", "ospf v2", "rip"})
	}
	if six {
		families = append(families, birdFamily{"ipv6", "ospf v3", "rip ng"})
	}
	return families
}

// birdTemplate: the router elects itself (OSPF waits for 2 seconds, the least that BIRD takes), for stacks
// have priority 0. Equal costs are not shared between owners.
var birdTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New(`bird.conf`).Parse(`log stderr { info, remote, warning, error, auth, fatal, bug };
router id {{.ID}};
protocol device { }
protocol bfd {
{{- range .Links}}
  interface "{{.Name}}" { interval {{$.Advertising.BFDMS}} ms; multiplier 5; };
{{- end}}
}
{{- range .Families}}

{{- if eq $.Advertising.Method "ospf"}}

protocol kernel kernel_{{.Net}} {
  {{.Net}} { import none; export where source ~ [RTS_OSPF_EXT1, RTS_OSPF_EXT2]; };
}
protocol {{.OSPF}} ospf_{{.Net}} {
  {{.Net}} { import all; export none; };
  ecmp no;
  area 0 {
{{- range $.Links}}
    interface "{{.Name}}" { hello {{$.Advertising.HelloS}}; dead {{$.Advertising.DeadS}}; wait 2; retransmit 2; bfd yes; };
{{- end}}
  };
}
{{- else}}

protocol kernel kernel_{{.Net}} {
  {{.Net}} { import none; export where source = RTS_RIP; };
}
protocol direct direct_{{.Net}} {
  {{.Net}};
}
protocol {{.RIP}} rip_{{.Net}} {
  {{.Net}} { import all; export where source ~ [RTS_DEVICE, RTS_RIP]; };
  ecmp no;
{{- range $.Links}}
  interface "{{.Name}}" { update time {{$.Advertising.HelloS}}; timeout time {{$.Advertising.DeadS}}; garbage time {{$.Advertising.DeadS}}; bfd yes; };
{{- end}}
}
{{- end}}
{{- end}}
`))
})
