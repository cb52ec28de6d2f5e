package topo

// Topology is what a topology file says. Addresses are texts as in the file: an address or the
// name of a symbol. Lists keep the order of the file.
type Topology struct {
	// Name of the plex: 1 to 8 letters, digits, @, # or $, no digit first.
	Plex string `yaml:"plex"`
	// Names for addresses, to be used wherever an address can stand, profiles included.
	Symbols map[string]string `yaml:"symbols,omitempty"`
	// Broadcast domains, exactly one of them the XCF network.
	Networks []Network `yaml:"networks"`
	// Routers between outside networks.
	Routers []Router `yaml:"routers,omitempty"`
	// The stacks of the plex, 1 to 128.
	Stacks []Stack `yaml:"stacks"`
	// Clients on outside networks, and scripted peers on the XCF network.
	Hosts []Host `yaml:"hosts,omitempty"`
	// Programs that are started once the plex has settled.
	Applications []Application `yaml:"applications,omitempty"`
	// Timers of the XCF group.
	Timers Timers `yaml:"timers,omitempty"`
	// Ports of DVIPAs with CLUSTERPORTS, one holder each in the whole plex.
	ClusterPorts ClusterPorts `yaml:"cluster_ports,omitempty"`
	// How the outside learns who owns a DVIPA.
	Advertising Advertising `yaml:"advertising,omitempty"`
	// How the weights come about by which connections are distributed.
	Selection Selection `yaml:"selection,omitempty"`
	// Faults that are applied by the clock.
	Faults []PlanFault `yaml:"faults,omitempty"`

	source *source // nil for a topology that was not read from a file
}

// Network is one broadcast domain.
type Network struct {
	// 1 to 12 lower-case letters, digits or -, a letter first.
	Name string `yaml:"name"`
	// Subnet such as 192.168.44.0/24 or 2001:db8:44::/64; subnets do not overlap.
	Subnet string `yaml:"subnet"`
	// The network that joins the stacks.
	XCF bool `yaml:"xcf,omitempty"`
	// Largest packet in bytes, 1280 to 65535; 1500 if left out.
	MTU int `yaml:"mtu,omitempty"`
}

// Link attaches a router or a stack to an outside network.
type Link struct {
	// Name of the network.
	Network string `yaml:"network"`
	// Address of the link, within the subnet of the network.
	Address string `yaml:"address"`
}

// HostLink attaches a host to a network.
type HostLink struct {
	// Name of the network.
	Network string `yaml:"network"`
	// Address of the link, within the subnet of the network.
	Address string `yaml:"address"`
	// Further addresses, such as 192.168.46.7, or ranges of them, such as
	// 192.168.46.20-192.168.46.219, 4096 in all: a client that opens many connections needs many.
	More []string `yaml:"more,omitempty"`
}

// Router forwards between its networks and has a route to every other outside network. Where DVIPAs
// are advertised by a routing protocol, it speaks that too.
type Router struct {
	// 1 to 8 letters, digits, @, # or $, no digit first; unlike every other node's.
	Name string `yaml:"name"`
	// Links to outside networks.
	Links []Link `yaml:"links"`
}

// Stack is a system of the plex with its communication protocol stack. Its default route goes to
// the first router on its networks; without a link to the outside, a way out is its own affair.
type Stack struct {
	// 1 to 8 letters, digits, @, # or $, no digit first; unlike every other node's.
	Name string `yaml:"name"`
	// Address on the XCF network.
	XCF string `yaml:"xcf"`
	// Links to outside networks; none for an inside stack.
	Links []Link `yaml:"links,omitempty"`
	// VIPADYNAMIC text, best as a literal block: errors in it are then told with their place in this file.
	Profile string `yaml:"profile,omitempty"`
	// File with the VIPADYNAMIC text instead, relative to this file.
	ProfileFile string `yaml:"profile_file,omitempty"`
	// Name of the implementation, for a plex of several; the one that is under test if left out.
	Implementation string `yaml:"implementation,omitempty"`
}

// Host is a machine outside of the plex. Its default route goes to the first router on its networks.
type Host struct {
	// 1 to 8 letters, digits, @, # or $, no digit first; unlike every other node's.
	Name string `yaml:"name"`
	// Links to networks, the XCF network included.
	Links []HostLink `yaml:"links"`
}

// Application is a program with its files, run on each of some nodes. In its command and files
// {{.Dir}} stands for the directory of the files, {{.Stack}} for the name of the node and
// {{.Address "DVA1"}} for the address of a symbol.
type Application struct {
	// 1 to 8 letters, digits, @, # or $, no digit first; what SOURCEIPA matches.
	Name string `yaml:"name"`
	// Names of the stacks and hosts that run it.
	On []string `yaml:"on"`
	// Program and arguments. It stays in the foreground.
	Command []string `yaml:"command"`
	// Content of files by their names, relative to {{.Dir}}.
	Files map[string]string `yaml:"files,omitempty"`
}
