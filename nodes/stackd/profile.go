package main

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// actsUpon is what this implementation does beyond the plain definitions; a profile that
// asks for more is refused by name.
const actsUpon = profile.Weights | profile.ClusterPorts | profile.Ranges | profile.SourceIPAs | profile.IPv6

// readProfile reads the VIPADYNAMIC text of a stack. An empty path is a stack without
// definitions of its own.
func readProfile(path string) (*profile.Profile, error) {
	if path == "" {
		return &profile.Profile{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := profile.Parse(path, text, nil)
	if err != nil {
		return nil, err
	}
	return p, p.Unsupported(actsUpon)
}

// definition is what the core takes in of a profile (Figure 10, block 100).
func definition(p *profile.Profile) vipa.Definition {
	var def vipa.Definition
	for _, d := range p.Defines {
		for _, a := range d.Addresses {
			def.Defines = append(def.Defines, vipa.Define{
				Prefix: netip.PrefixFrom(a.Addr, d.Bits), ClusterPorts: d.ClusterPorts.Given(),
			})
		}
	}
	for _, b := range p.Backups {
		for _, a := range b.Addresses {
			def.Backups = append(def.Backups, vipa.Backup{DVIPA: a.Addr, Rank: b.Rank})
		}
	}
	for _, d := range p.Distributes {
		def.Distributes = append(def.Distributes, vipa.Distribute{
			DVIPA: d.Address.Addr, ClusterPorts: d.ClusterPorts.Given(), Distribution: distribution(d),
		})
	}
	for _, r := range p.Ranges {
		def.Ranges = append(def.Ranges, vipa.Range{
			Prefix: r.Prefix(), ClusterPorts: r.ClusterPorts.Given(), Distribute: r.Distribute.Given(),
		})
	}
	for _, s := range p.SourceIPAs {
		def.SourceIPAs = append(def.SourceIPAs, contract.SourceIPA{Address: s.Address.Addr, Application: s.Application})
	}
	return def
}

// dvipasOf are the DVIPAs that a profile defines or backs up.
func dvipasOf(p *profile.Profile) (dvipas []netip.Addr) {
	def := definition(p)
	for _, d := range def.Defines {
		dvipas = append(dvipas, d.Prefix.Addr())
	}
	for _, b := range def.Backups {
		dvipas = append(dvipas, b.DVIPA)
	}
	return dvipas
}

func distribution(d profile.Distribute) contract.Distribution {
	out := contract.Distribution{All: d.All}
	for _, p := range d.Ports {
		out.Ports = append(out.Ports, contract.PortRange{First: p.First, Last: p.Last})
	}
	for _, t := range d.Targets {
		out.Targets = append(out.Targets, contract.Target{XCF: t.Addr, Weight: uint32(t.Weight)})
	}
	return out
}
