package vipa_test

import (
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// fields are the words of a line after the first two: flags, and values with their key.
type fields struct {
	flags  map[string]bool
	values map[string]string
}

func fieldsOf(words []string) fields {
	f := fields{flags: make(map[string]bool), values: make(map[string]string)}
	for _, w := range words {
		if key, value, ok := strings.Cut(w, "="); ok {
			f.values[key] = value
		} else {
			f.flags[w] = true
		}
	}
	return f
}

// definition reads the lines
//
//	define ADDRESS/LENGTH [clusterports]
//	backup ADDRESS rank=N
//	distribute ADDRESS [clusterports] [ports=P,P-P] to=ALL|XCF[*WEIGHT],...
//	range ADDRESS/LENGTH [clusterports] [distribute]
//	sourceipa ADDRESS APPLICATION
func (c *command) definition() vipa.Definition {
	c.t.Helper()
	var def vipa.Definition
	for _, words := range c.lines() {
		f := fieldsOf(words[2:])
		switch words[0] {
		case "define":
			def.Defines = append(def.Defines, vipa.Define{Prefix: c.prefix(words[1]), ClusterPorts: f.flags["clusterports"]})
		case "backup":
			def.Backups = append(def.Backups, vipa.Backup{DVIPA: c.address(words[1]), Rank: uint8(c.parse(f.values["rank"]))})
		case "distribute":
			def.Distributes = append(def.Distributes, vipa.Distribute{
				DVIPA: c.address(words[1]), Distribution: *c.distribution(f), ClusterPorts: f.flags["clusterports"],
			})
		case "range":
			def.Ranges = append(def.Ranges, vipa.Range{
				Prefix: c.prefix(words[1]).Masked(), ClusterPorts: f.flags["clusterports"], Distribute: f.flags["distribute"],
			})
		case "sourceipa":
			def.SourceIPAs = append(def.SourceIPAs, contract.SourceIPA{Address: c.address(words[1]), Application: words[2]})
		default:
			c.t.Fatalf("%s: unknown definition %q", c.d.Pos, words[0])
		}
	}
	return def
}

// distribution reads ports= and to=; nil where to= is missing.
func (c *command) distribution(f fields) *contract.Distribution {
	c.t.Helper()
	to, ok := f.values["to"]
	if !ok {
		return nil
	}
	dist := &contract.Distribution{All: to == "ALL"}
	if ports := f.values["ports"]; ports != "" {
		for r := range strings.SplitSeq(ports, ",") {
			dist.Ports = append(dist.Ports, c.ports(r))
		}
	}
	if dist.All {
		return dist
	}
	for t := range strings.SplitSeq(to, ",") {
		xcf, weight, ok := strings.Cut(t, "*")
		target := contract.Target{XCF: c.address(xcf)}
		if ok {
			target.Weight = uint32(c.parse(weight))
		}
		dist.Targets = append(dist.Targets, target)
	}
	return dist
}

// ports reads P or P-P.
func (c *command) ports(text string) contract.PortRange {
	c.t.Helper()
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	return contract.PortRange{First: uint16(c.parse(first)), Last: uint16(c.parse(last))}
}

// message reads, after receiver and sender:
//
//	VIPA_LIST [held=(REMOTE LOCAL, ...)] [no-way-out]   ADDRESS/LENGTH primary|backup|range [rank=N] [owner] [epoch=N] ...
//	                                          and sourceipa ADDRESS APPLICATION lines
//	SRVSTAT ADDRESS:PORT epoch=N [ended] [unique] [xcf=A]
//	NEWCONN DVIPA epoch=N [ack=N] [xcf=A]     REMOTE LOCAL lines
//	TERMCONN DVIPA epoch=N [xcf=A]            REMOTE LOCAL lines
//	NEWCONN_ACK [ack=N]
//	END_OF_LIST, UNKNOWN
func (c *command) message() contract.Message {
	c.t.Helper()
	xcf := c.script.members[c.word(1)].XCF
	if c.d.HasArg("xcf") {
		xcf = c.address(c.value("xcf"))
	}
	epoch := c.number("epoch", 0)
	switch kind := c.word(2); kind {
	case "VIPA_LIST":
		return c.list()
	case "SRVSTAT":
		return contract.SRVSTAT{
			Service: c.socket(c.word(3)), XCF: xcf, Epoch: epoch,
			Listening: !c.d.HasArg("ended"), Unique: c.d.HasArg("unique"),
		}
	case "NEWCONN":
		return contract.NEWCONN{
			DVIPA: c.address(c.word(3)), XCF: xcf, Epoch: epoch,
			Connections: c.connections(), Acknowledge: c.number("ack", 0),
		}
	case "TERMCONN":
		return contract.TERMCONN{DVIPA: c.address(c.word(3)), XCF: xcf, Epoch: epoch, Connections: c.connections()}
	case "END_OF_LIST":
		return contract.EndOfList{}
	case "NEWCONN_ACK":
		return contract.NEWCONNAck{Acknowledge: c.number("ack", 1)}
	case "UNKNOWN":
		return contract.Unknown{Field: 99}
	default:
		c.t.Fatalf("%s: unknown message %q", c.d.Pos, kind)
		return nil
	}
}

func (c *command) list() contract.VIPAList {
	c.t.Helper()
	list := contract.VIPAList{NoWayOut: c.d.HasArg("no-way-out")}
	for _, words := range c.lines() {
		if words[0] == "sourceipa" {
			list.SourceIPAs = append(list.SourceIPAs, contract.SourceIPA{Address: c.address(words[1]), Application: words[2]})
			continue
		}
		f := fieldsOf(words[1:])
		e := contract.DVIPA{
			Prefix: c.prefix(words[0]), Role: contract.RolePrimary, Owner: f.flags["owner"],
			ClusterPorts: f.flags["clusterports"], Distribution: c.distribution(f),
		}
		switch {
		case f.flags["backup"]:
			e.Role = contract.RoleBackup
		case f.flags["range"]:
			e.Role = contract.RoleRange
		}
		if rank, ok := f.values["rank"]; ok {
			e.Rank = uint8(c.parse(rank))
		}
		if epoch, ok := f.values["epoch"]; ok {
			e.Epoch = c.parse(epoch)
		}
		list.DVIPAs = append(list.DVIPAs, e)
	}
	return list
}
