package routing

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"
)

// An ownership is a DVIPA that is advertised.
type ownership struct {
	prefix netip.Prefix // the DVIPA with the length of its mask, host bits kept
	epoch  uint64
	// withdrawn is when that began to end; zero while it goes on.
	withdrawn time.Time
}

// A route is what the network is told.
type route struct {
	Prefix netip.Prefix
	Cost   uint32
}

// routes are the host routes of all ownerships and the prefixes of their masks, each at the cost of
// the newest epoch in it; longest first.
func routes(p Protocol, owned map[netip.Addr]ownership) []route {
	newest := map[netip.Prefix]uint64{}
	for address, o := range owned {
		for _, prefix := range []netip.Prefix{netip.PrefixFrom(address, address.BitLen()), o.prefix.Masked()} {
			newest[prefix] = max(newest[prefix], o.epoch)
		}
	}
	var all []route
	for prefix, epoch := range newest {
		all = append(all, route{Prefix: prefix, Cost: Cost(p, epoch)})
	}
	slices.SortFunc(all, func(a, b route) int {
		return cmp.Or(cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return all
}

// masks are the prefixes that attract more than DVIPAs.
func masks(owned map[netip.Addr]ownership) []netip.Prefix {
	all := map[netip.Prefix]bool{}
	for _, o := range owned {
		if !o.prefix.IsSingleIP() {
			all[o.prefix.Masked()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), netip.Prefix.Compare)
}

// A channel is one family's part of the configuration.
type channel struct {
	Net      string // the family in BIRD's words: ipv4, ipv6
	Instance string // the protocol in them: ospf v2, ospf v3, rip, rip ng
	Routes   []route
}

// channels are those of the families that are spoken.
func (d *Daemon) channels(owned map[netip.Addr]ownership) []channel {
	instance := map[Protocol][2]string{OSPF: {"ospf v2", "ospf v3"}, RIP: {"rip", "rip ng"}}[d.config.Protocol]
	v4 := channel{Net: "ipv4", Instance: instance[0]}
	v6 := channel{Net: "ipv6", Instance: instance[1]}
	for _, r := range routes(d.config.Protocol, owned) {
		to := &v6
		if r.Prefix.Addr().Is4() {
			to = &v4
		}
		to.Routes = append(to.Routes, r)
	}
	var all []channel
	if d.v4 {
		all = append(all, v4)
	}
	if d.v6 {
		all = append(all, v6)
	}
	return all
}

// render writes BIRD's configuration.
func (d *Daemon) render(owned map[netip.Addr]ownership) string {
	var text strings.Builder
	err := configuration().Execute(&text, struct {
		Config
		Channels []channel
	}{d.config, d.channels(owned)})
	if err != nil {
		panic(err) // the template names what there is: its test says so
	}
	return text.String()
}

// configuration is parsed when it is first wanted: most stacks have no routing daemon.
var configuration = sync.OnceValue(func() *template.Template {
	return template.Must(template.New(configName).Funcs(template.FuncMap{
		"seconds":      func(t time.Duration) int64 { return int64(t / time.Second) },
		"milliseconds": time.Duration.Milliseconds,
		"missing":      func() int { return missing },
	}).Parse(`# Written by the stack, and again whenever its DVIPAs change.
log stderr { info, remote, warning, error, auth, fatal, bug };
router id {{.RouterID}};
protocol device { }
protocol bfd {
{{- range .Interfaces}}
  interface "{{.}}" { interval {{milliseconds $.BFD}} ms; multiplier {{missing}}; };
{{- end}}
}
{{- range .Channels}}

protocol static dvipa_{{.Net}} {
  {{.Net}};
{{- range .Routes}}
  route {{.Prefix}} blackhole { {{if eq $.Protocol "ospf"}}ospf_metric2{{else}}rip_metric{{end}} = {{.Cost}}; };
{{- end}}
}
protocol {{.Instance}} {{$.Protocol}}_{{.Net}} {
  {{.Net}} { import none; export where proto = "dvipa_{{.Net}}"; };
{{- if eq $.Protocol "ospf"}}
  stub router yes;
  area 0 {
{{- range $.Interfaces}}
    interface "{{.}}" { priority 0; hello {{seconds $.Hello}}; dead {{seconds $.Dead}}; retransmit 2; bfd yes; };
{{- end}}
  };
{{- else}}
{{- range $.Interfaces}}
  interface "{{.}}" { update time {{seconds $.Hello}}; timeout time {{seconds $.Dead}}; garbage time {{seconds $.Dead}}; bfd yes; };
{{- end}}
{{- end}}
}
{{- end}}
`))
})
