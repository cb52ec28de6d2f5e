package topo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// base is a right file; each case replaces some of its text.
const base = `plex: PLEX
symbols:
  DVA1: 192.168.44.10
  XCF1: 10.1.0.1
networks:
  - name: xcf
    subnet: 10.1.0.0/24
    xcf: true
  - name: net44
    subnet: 192.168.44.0/24
  - {name: net46, subnet: 192.168.46.0/24}
routers:
  - name: ROUTER
    links:
      - {network: net44, address: 192.168.44.1}
      - {network: net46, address: 192.168.46.1}
stacks:
  - name: MVS1
    xcf: XCF1
    links:
      - {network: net44, address: 192.168.44.101}
    profile: |
      VIPADYN
        VIPADEF /24 DVA1
        VIPADIST DVA1 DESTIP ALL
      ENDVIPADYN
  - name: MVS2
    xcf: 10.1.0.2
hosts:
  - name: CLIENT
    links:
      - network: net46
        address: 192.168.46.10
        more: [192.168.46.20-192.168.46.29]
applications:
  - name: APPA
    on: [MVS1, MVS2]
    command: [server, "{{.Dir}}/conf"]
    files:
      conf: listen {{.Address "DVA1"}}
timers: {hello_ms: 20, dead_ms: 100}
faults:
  - {after_ms: 10, verb: kill, args: [MVS1]}
`

func TestErrors(t *testing.T) {
	const rule = "1 to 8 letters, digits, @, # or $, no digit first, and no keyword of a profile"
	for _, c := range []struct{ name, from, to, want string }{
		// Shape.
		{"unknown key", "plex: PLEX", "plex: PLEX\ncolour: red",
			`2:1: found the key "colour", expected one of advertising, applications, cluster_ports, faults, hosts, networks, plex, routers, selection, stacks, symbols, timers`},
		{"unknown key inside", "    xcf: 10.1.0.2", "    xfc: 10.1.0.2",
			"27:5: found no \"xcf\", expected one\n28:5: found the key \"xfc\", expected one of implementation, links, name, profile, profile_file, xcf"},
		{"missing key", "plex: PLEX\n", "", `1:1: found no "plex", expected one`},
		{"key twice", "plex: PLEX", "plex: PLEX\nplex: PLEX", `2:1: mapping key "plex" already defined at [1:1]`},
		{"kind of value", "hello_ms: 20", "hello_ms: fast", `41:20: found text, expected a whole number for hello_ms`},
		{"nothing", "plex: PLEX", "plex:", `1:6: found nothing, expected text for plex`},
		{"list for text", "command: [server, \"{{.Dir}}/conf\"]", "command: server", `38:14: found text, expected a list for command`},
		{"element", "on: [MVS1, MVS2]", "on: [MVS1, 2]", `37:16: found a whole number, expected text`},
		{"unknown verb", "verb: kill", "verb: melt", `43:26: found "melt", expected one of kill freeze thaw start link-down link-up drop partition heal`},
		{"several", "xcf: true", "xcf: 1\n    colour: red",
			"8:10: found a whole number, expected true or false for xcf\n9:5: found the key \"colour\", expected one of mtu, name, subnet, xcf"},

		// YAML.
		{"syntax", "on: [MVS1, MVS2]", "on: [MVS1, MVS2", `38:5: ',' or ']' must be specified`},
		{"tab", "  DVA1:", "\tDVA1:", "3:1: found character '\t' that cannot start any token"},
		{"anchor", "plex: PLEX", "plex: &a PLEX", `1:7: found an anchor, expected text, a number, true, false, a list or keys with values`},
		{"tag", "plex: PLEX", "plex: !!str PLEX", `1:7: found a tag, expected text, a number, true, false, a list or keys with values`},
		{"infinity", "hello_ms: 20", "hello_ms: .inf", `41:20: found ".inf", expected text, a number, true, false, a list or keys with values`},
		{"key that is no text", "plex: PLEX", "1: PLEX", `1:1: found "1", expected a key that is text`},
		{"second document", "plex: PLEX", "---\nplex: PLEX\n---\nx: y", `4:1: found a second document, expected one`},
		{"deep", "plex: PLEX", "plex: " + strings.Repeat("[", 25), `1:31: found nesting deeper than 24`},
		{"deep entries", "plex: PLEX", "plex:\n" + strings.Repeat("- ", 25), `2:49: found nesting deeper than 24`},

		// Names.
		{"plex", "plex: PLEX", "plex: PLEX-1", `1:7: found "PLEX-1", expected the name of a plex: ` + rule},
		{"plex is long", "plex: PLEX", "plex: ABCDEFGHI", `1:7: found "ABCDEFGHI", expected the name of a plex: ` + rule},
		{"node", "name: CLIENT", "name: 2MVS", `30:11: found "2MVS", expected the name of a host: ` + rule},
		{"node twice", "name: MVS2", "name: mvs1", "27:11: found the stack mvs1 beside the stack MVS1, expected names that differ in more than case\n" +
			`37:16: found "MVS2", expected the name of a stack or host`},
		{"host as stack", "name: CLIENT", "name: MVS1", `30:11: found the host MVS1 beside the stack MVS1, expected names that differ in more than case`},
		{"symbol", "DVA1: 192", "VIPAB: 192", "3:3: found \"VIPAB\", expected a name that is no keyword of the profile language\n" +
			"24:21: found \"DVA1\", expected an address or one of the symbols XCF1\n25:18: found \"DVA1\", expected an address or one of the symbols XCF1\n" +
			`40:13: found {{.Address "DVA1"}}, expected one of the symbols XCF1`},
		{"symbol twice", "  XCF1: 10.1.0.1", "  XCF1: 10.1.0.1\n  xcf1: 10.1.0.3", `5:3: found the symbol xcf1 beside XCF1, expected names that differ in more than case`},
		{"symbol without address", "XCF1: 10.1.0.1", "XCF1: ten", "4:9: found \"ten\", expected an address such as 192.168.44.10 or 2001:db8::10\n" +
			`19:10: found "XCF1", expected an address or a symbol`},

		// Networks.
		{"network", "name: xcf", "name: XCF", `6:11: found "XCF", expected the name of a network: 1 to 12 lower-case letters, digits or -, a letter first`},
		{"network twice", "name: net46", "name: net44", "11:12: found a second network net44, expected each name once\n" +
			"16:19: found \"net46\", expected one of the networks xcf, net44\n32:18: found \"net46\", expected one of the networks xcf, net44"},
		{"no XCF", "    xcf: true\n", "", `6:3: found no network with xcf: true, expected one`},
		{"two XCF", "    subnet: 192.168.44.0/24", "    subnet: 192.168.44.0/24\n    xcf: true", "11:10: found a second XCF network, expected one: xcf is it already"},
		{"subnet", "10.1.0.0/24", "10.1.0.0", `7:13: found "10.1.0.0", expected a subnet such as 192.168.44.0/24 or 2001:db8:44::/64`},
		{"subnet with host bits", "192.168.46.0/24", "192.168.46.9/24", `11:27: found 192.168.46.9/24 with bits beyond its length, expected 192.168.46.0/24`},
		{"subnet too small", "192.168.46.0/24", "192.168.46.0/31", `11:27: found 192.168.46.0/31, expected a length of 8 to 30`},
		{"overlap", "192.168.46.0/24", "192.168.0.0/16", `11:27: found 192.168.0.0/16, which overlaps 192.168.44.0/24 of network net44`},
		{"MTU", "subnet: 10.1.0.0/24", "subnet: 10.1.0.0/24\n    mtu: 100", `8:10: found 100, expected 576 to 65535 bytes`},

		// Links.
		{"MTU smaller on XCF", "subnet: 10.1.0.0/24", "subnet: 10.1.0.0/24\n    mtu: 1400",
			"22:19: found net44 with an MTU of 1500, expected at most 1400, that of the XCF network"},
		{"unknown network", "network: net46\n", "network: net47\n", `32:18: found "net47", expected one of the networks xcf, net44, net46`},
		{"XCF as outside", "{network: net44, address: 192.168.44.101}", "{network: xcf, address: 10.1.0.7}",
			"21:19: found the XCF network xcf, expected an outside network\n24:21: found the DVIPA 192.168.44.10, expected none: MVS1 has no link to an outside network"},
		{"not in subnet", "address: 192.168.46.10", "address: 192.168.47.10", `33:18: found 192.168.47.10, which is not in 192.168.46.0/24, expected the address of a host on network net46`},
		{"network address", "xcf: 10.1.0.2", "xcf: 10.1.0.0", `28:10: found 10.1.0.0, which is the network 10.1.0.0/24 itself, expected the address of a host on network xcf`},
		{"broadcast address", "xcf: 10.1.0.2", "xcf: 10.1.0.255", `28:10: found 10.1.0.255, which is the broadcast address of 10.1.0.0/24, expected the address of a host on network xcf`},
		{"XCF address twice", "xcf: 10.1.0.2", "xcf: xcf1", `28:10: found 10.1.0.1, which MVS1 on xcf has already`},
		{"no address", "xcf: 10.1.0.2", "xcf: XCF2", `28:10: found "XCF2", expected an address or a symbol`},
		{"backward range", "46.20-192.168.46.29", "46.29-192.168.46.20", `34:16: found the range 192.168.46.29-192.168.46.20, expected its first address not above its last`},
		{"range out of subnet", "46.20-192.168.46.29", "46.250-192.168.47.29", `34:16: found 192.168.46.255, which is the broadcast address of 192.168.46.0/24, expected the address of a host on network net46`},
		{"range over another", "46.20-192.168.46.29", "46.9-192.168.46.29", `34:16: found 192.168.46.10, which CLIENT on net46 has already`},
		{"range without end", "46.20-192.168.46.29", "46.20-", `34:16: found "", expected an address or a symbol`},
		{"long range", "46.20-192.168.46.29]\n", "46.20-192.168.46.29, 10.0.0.0-10.0.255.255]\n", `34:45: found 10.0.0.0, which is not in 192.168.46.0/24, expected the address of a host on network net46`},
		{"another subnet", "subnet: 192.168.46.0/24}", "subnet: 10.8.0.0/16}", "16:35: found 192.168.46.1, which is not in 10.8.0.0/16, expected the address of a host on network net46\n" +
			"33:18: found 192.168.46.10, which is not in 10.8.0.0/16, expected the address of a host on network net46\n" +
			`34:16: found 192.168.46.20, which is not in 10.8.0.0/16, expected the address of a host on network net46`},
		{"network twice of a router", "{network: net46, address: 192.168.46.1}", "{network: net44, address: 192.168.44.2}", `16:19: found a second link of ROUTER to net44, expected one`},
		{"application twice", "timers:", "  - {name: appa, on: [MVS1], command: [x]}\ntimers:", `41:12: found a second application appa, expected each name once; on lists the nodes that run it`},
		{"link of nobody", "kill, args: [MVS1]", "link-up, args: [MVS3, ext0]", `43:42: found "MVS3", expected the name of a node`},
		{"no links", "    links:\n      - network: net46\n        address: 192.168.46.10\n        more: [192.168.46.20-192.168.46.29]\n", "    links: []\n", `31:12: found no link, expected one at least`},

		// Profiles.
		{"profile", "VIPADEF /24 DVA1", "VIPADEF /24 DVA2", `24:21: found "DVA2", expected an address or one of the symbols DVA1, XCF1`},
		{"profile without end", "      ENDVIPADYN\n", "", `25:33: found the end of the profile, expected ENDVIPADynamic for the block that began in line 1`},
		{"profile of one line", "    xcf: 10.1.0.2", "    xcf: 10.1.0.2\n    profile: VIPADYN", `29:14: profile of MVS2, line 1: found the end of the profile, expected ENDVIPADynamic for the block that began in line 1`},
		{"folded profile", "    xcf: 10.1.0.2", "    xcf: 10.1.0.2\n    profile: >\n      VIPADYN\n\n      FOO\n      ENDVIPADYN",
			`29:14: profile of MVS2, line 2: found "FOO", expected VIPADEFine, VIPABackup, VIPADISTribute, VIPARange, SOURCEIPA or ENDVIPADynamic`},
		{"profile with an indentation of its own", "    profile: |\n      VIPADYN\n        VIPADEF", "    profile: |2+ # é\n\n      VIPADYN é\n        VIPADEF",
			`24:15: found "é", expected VIPADEFine, VIPABackup, VIPADISTribute, VIPARange, SOURCEIPA or ENDVIPADynamic`},
		{"DVIPA elsewhere", "VIPADEF /24 DVA1", "VIPADEF /24 DVA1 VIPAB 1 192.168.46.77", `24:34: found the DVIPA 192.168.46.77, expected one in 192.168.44.0/24, the outside subnet of MVS1; a routing protocol (advertising) lifts that`},
		{"DVIPA of an inside stack", "    xcf: 10.1.0.2", "    xcf: 10.1.0.2\n    profile: |\n     VIPADYN VIPAB 1 DVA1 ENDVIPADYN", `30:22: found the DVIPA 192.168.44.10, expected none: MVS2 has no link to an outside network`},
		{"DVIPA is real", "VIPADEF /24 DVA1", "VIPADEF /24 DVA1 192.168.44.1", `24:26: found the DVIPA 192.168.44.1, which ROUTER on net44 has as a real address`},
		{"DVIPA is broadcast", "VIPADEF /24 DVA1", "VIPADEF /24 DVA1 VIPAB 1 192.168.44.255", `24:34: found the DVIPA 192.168.44.255, which is the broadcast address of 192.168.44.0/24, expected the address of a host`},
		{"VIPARange elsewhere", "VIPADEF /24 DVA1", "VIPADEF /24 DVA1 VIPARANGE 255.255.0.0 192.168.44.0", `24:48: found the range 192.168.0.0/16, expected one in 192.168.44.0/24, the outside subnet of MVS1; a routing protocol (advertising) lifts that`},
		{"target elsewhere", "DESTIP ALL", "DESTIP XCF1 192.168.44.101", `25:35: found the target 192.168.44.101, expected an XCF address, in 10.1.0.0/24`},

		// Applications.
		{"application", "name: APPA", "name: application", `36:11: found "application", expected the name of an application: ` + rule},
		{"on a router", "on: [MVS1, MVS2]", "on: [MVS1, ROUTER]", `37:16: found "ROUTER", expected the name of a stack or host`},
		{"twice on a node", "on: [MVS1, MVS2]", "on: [MVS1, mvs1]", `37:16: found mvs1 a second time, expected each node once`},
		{"on nothing", "on: [MVS1, MVS2]", "on: []", `37:9: found no node, expected the stacks or hosts that run APPA`},
		{"no command", `[server, "{{.Dir}}/conf"]`, "[]", `38:14: found no program, expected a command`},
		{"unknown template", "{{.Dir}}", "{{.Dri}}", `38:23: found {{.Dri}}, expected {{.Dir}}, {{.Stack}} or {{.Address "SYMBOL"}}`},
		{"broken template", "{{.Dir}}", "{{.Dir", `38:23: found {{, expected {{.Dir}}, {{.Stack}} or {{.Address "SYMBOL"}}`},
		{"unknown symbol", `"DVA1"}}`, `"DVA2"}}`, `40:13: found {{.Address "DVA2"}}, expected one of the symbols DVA1, XCF1`},
		{"file elsewhere", "      conf:", "      ../conf:", `40:7: found "../conf", expected the name of a file below {{.Dir}}`},

		// Advertising.
		{"method", "timers:", "advertising: {method: bgp}\ntimers:", `41:23: found "bgp", expected one of address ospf rip`},
		{"timer of no protocol", "timers:", "advertising: {hello_s: 1}\ntimers:", `41:24: found hello_s for the method address, expected it for ospf or rip only`},
		{"hello of OSPF", "timers:", "advertising: {method: ospf, hello_s: 61, dead_s: 600}\ntimers:", `41:38: found 61, expected 1 to 60 seconds`},
		{"dead of OSPF", "timers:", "advertising: {method: ospf, hello_s: 5, dead_s: 5}\ntimers:", `41:49: found 5, expected 6 to 600 seconds`},
		{"BFD", "timers:", "advertising: {method: rip, bfd_ms: 5}\ntimers:", `41:36: found 5, expected 10 to 10000 milliseconds`},
		{"DVIPA of XCF", "symbols:\n  DVA1: 192.168.44.10", "advertising: {method: ospf}\nsymbols:\n  DVA1: 10.1.0.10",
			`25:21: found the DVIPA 10.1.0.10, which is in 10.1.0.0/24, expected none of the XCF network`},

		// Selection.
		{"selection", "timers:", "selection: {method: random}\ntimers:", `41:21: found "random", expected one of roundrobin wlm agent`},
		{"interval of round robin", "timers:", "selection: {interval_ms: 500}\ntimers:", `41:26: found interval_ms for the method roundrobin, expected it for wlm or agent only`},
		{"interval", "timers:", "selection: {method: wlm, interval_ms: 99}\ntimers:", `41:39: found 99, expected 100 to 60000 milliseconds`},
		{"agent of wlm", "timers:", "selection: {method: wlm, agent: /a}\ntimers:", `41:33: found an agent for the method wlm, expected it for agent only`},
		{"no agent", "timers:", "selection: {method: agent}\ntimers:", `41:13: found no agent, expected the path of its Unix socket`},
		{"agent beside the file", "timers:", "selection: {method: agent, agent: a.sock}\ntimers:", `41:35: found "a.sock", expected an absolute path of at most 107 characters`},
		{"key of selection", "timers:", "selection: {methd: wlm}\ntimers:", `41:13: found the key "methd", expected one of agent, interval_ms, method`},

		// Timers and faults.
		{"dead too early", "dead_ms: 100", "dead_ms: 30", `41:33: found 30, expected 40 (twice hello_ms) to 600000`},
		{"hello", "hello_ms: 20", "hello_ms: -1", `41:20: found -1, expected 1 to 60000`},
		{"first port", "plex: PLEX", "plex: PLEX\ncluster_ports: {first: 65536}", `2:24: found 65536, expected a port from 1 to 65535`},
		{"first port below", "plex: PLEX", "plex: PLEX\ncluster_ports: {first: -1}", `2:24: found -1, expected a port from 1 to 65535`},
		{"last port", "plex: PLEX", "plex: PLEX\ncluster_ports: {last: 1023}", `2:23: found 1023, expected a port from 32768 (first) to 65535`},
		{"last port above", "plex: PLEX", "plex: PLEX\ncluster_ports: {last: 65536}", `2:23: found 65536, expected a port from 32768 (first) to 65535`},
		{"rest", "plex: PLEX", "plex: PLEX\ncluster_ports:\n  rest_s: -1", `3:11: found -1, expected 0 to 3600 seconds`},
		{"rest of a day", "plex: PLEX", "plex: PLEX\ncluster_ports:\n  rest_s: 86400", `3:11: found 86400, expected 0 to 3600 seconds`},
		{"sharing", "plex: PLEX", "plex: PLEX\ncluster_ports: {sharing: gossip}", `2:26: found "gossip", expected one of port-file distributor`},
		{"key of ports", "plex: PLEX", "plex: PLEX\ncluster_ports: {rest: 1}", `2:17: found the key "rest", expected one of first, last, rest_s, sharing`},
		{"kill of a host", "args: [MVS1]", "args: [CLIENT]", `43:39: found "CLIENT", expected the name of a stack`},
		{"arguments", "args: [MVS1]", "args: [MVS1, MVS2]", `43:38: found 2 arguments of kill, expected STACK`},
		{"time", "after_ms: 10", "after_ms: -10", `43:16: found -10, expected 0 or more milliseconds`},
		{"link", "kill, args: [MVS1]", "link-up, args: [MVS2, ext0]", `43:48: found "ext0", expected a link of MVS2: xcf0`},
		{"group", "kill, args: [MVS1]", `partition, args: [xcf, "MVS1,CLIENT"]`, `43:49: found "CLIENT", expected the name of a node on network xcf`},
		{"network of a fault", "kill, args: [MVS1]", "heal, args: [xfc]", `43:39: found "xfc", expected one of the networks xcf, net44, net46`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(base, c.from) {
				t.Fatalf("%q is not in the file", c.from)
			}
			topology, err := Parse("", []byte(strings.Replace(base, c.from, c.to, 1)))
			if err == nil || topology != nil {
				t.Fatalf("parses, want:\n%s", c.want)
			}
			if got := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n:", "\n"), ":"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
	if _, err := Parse("", []byte(base)); err != nil {
		t.Errorf("the file itself: %v", err)
	}
}

// With a routing protocol DVIPAs and ranges of them lie where they like, and stacks without a link to the
// outside have none all the same.
func TestDVIPAsOfARoutingProtocol(t *testing.T) {
	advertised := strings.NewReplacer("symbols:\n  DVA1: 192.168.44.10", "advertising: {method: rip}\nsymbols:\n  DVA1: 198.51.100.10",
		"VIPADIST DVA1 DESTIP ALL", "VIPADIST DVA1 DESTIP ALL VIPARANGE /24 203.0.113.0").Replace(base)
	topology, err := Parse("", []byte(advertised))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Plan()
	if want := (Advertising{Method: ByRIP, HelloS: 1, DeadS: 3, BFDMS: 200}); err != nil || plan.Advertising != want {
		t.Errorf("plan: got %+v and %v, want %+v", plan.Advertising, err, want)
	}
	inside := strings.Replace(advertised, "    links:\n      - {network: net44, address: 192.168.44.101}\n", "", 1)
	if _, err := Parse("f", []byte(inside)); err == nil || !strings.Contains(err.Error(), "expected none: MVS1 has no link to an outside network") {
		t.Errorf("an inside stack: got %v", err)
	}
	topology.Routers = slices.Repeat(topology.Routers, maxRIPRouters+1)
	if _, err := topology.Plan(); err == nil || !strings.Contains(err.Error(), "found rip with 5 routers, expected at most 4") {
		t.Errorf("five routers: got %v", err)
	}
}

func TestErrorsOfWholeFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                             `f:1:1: found nothing, expected keys with values`,
		"# nothing":                    `f:1:1: found nothing, expected keys with values`,
		"- a":                          `f:1:1: found a list, expected keys with values`,
		"plex: \xff":                   `f:1:1: found bytes that are not UTF-8, expected text`,
		strings.Repeat("#", maxFile+1): `f:1:1: found 1048577 bytes, expected at most 1048576`,
		strings.Repeat("- a\n", 30000): `f:20001:1: found more than 40000 words and signs of YAML, expected a smaller file`,
	} {
		if _, err := Parse("f", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: got %v\nwant %s", text, err, want)
		}
	}
}

// A profile file is read beside the topology, and its errors are told with its own name.
func TestProfileFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	head, rest, _ := strings.Cut(base, "    profile: |\n")
	_, rest, _ = strings.Cut(rest, "      ENDVIPADYN\n")
	topology := write("plex.yaml", head+"    profile_file: mvs1.profile\n"+rest)

	_, err := Load(topology)
	if err == nil || !strings.HasPrefix(err.Error(), topology+":22:19: found a file that cannot be read: ") {
		t.Errorf("without the file: %v", err)
	}
	profile := write("mvs1.profile", "VIPADYN\n  VIPADEF /24 DVA9\nENDVIPADYN\n")
	want := profile + `:2:15: found "DVA9", expected an address or one of the symbols DVA1, XCF1`
	if _, err := Load(topology); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	write("mvs1.profile", "VIPADYN\n  VIPADEF /24 DVA1\nENDVIPADYN\n")
	loaded, err := Load(topology)
	if err != nil {
		t.Fatal(err)
	}
	if plan, _ := loaded.Plan(); !strings.Contains(plan.Nodes[1].Stack.Profile, "255.255.255.0 192.168.44.10") {
		t.Errorf("profile in the plan: %q", plan.Nodes[1].Stack.Profile)
	}
	write("plex.yaml", strings.Replace(base, "    profile: |", "    profile_file: mvs1.profile\n    profile: |", 1))
	want = topology + ":22:19: found profile_file beside profile, expected one of them"
	if _, err := Load(topology); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory loads")
	}
}
