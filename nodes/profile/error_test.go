package profile

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Each text stands in a block of its own, from line 2 on; want is "line:column: message", one a line.
func TestErrors(t *testing.T) {
	const (
		define = "VIPADEF /24 DVA1\n"
		dests  = define + "VIPADIST DVA1 "
	)
	for text, want := range map[string]string{
		// Statements.
		"VIPADE /24 DVA1": `2:1: found "VIPADE", expected VIPADEFine, VIPABackup, VIPADISTribute, VIPARange, SOURCEIPA or ENDVIPADynamic`,
		"VIPADYN":         `2:1: found "VIPADYN", expected ENDVIPADynamic for the block that began in line 1`,
		"FOO BAR\nBAZ /24\n" + define + "X": "2:1: found \"FOO\", expected VIPADEFine, VIPABackup, VIPADISTribute, VIPARange, SOURCEIPA or ENDVIPADynamic\n" +
			`5:1: found "X", expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5`,

		// VIPADEFine.
		"VIPADEF":                                   `3:1: found "ENDVIPADYNAMIC", expected a network mask such as 255.255.255.0 or /24`,
		"VIPADEF /24":                               `3:1: found "ENDVIPADYNAMIC", expected an address or a symbol`,
		"VIPADEF /24 DVA1,":                         `3:1: found "ENDVIPADYNAMIC", expected another item after the comma`,
		"VIPADEF /24 DVA1,,DVB1":                    `2:18: found ",", expected an address or a symbol`,
		"VIPADEF DVA1":                              `2:9: found "DVA1", expected a network mask such as 255.255.255.0 or /24`,
		"VIPADEF 255.0.255.0 DVA1":                  `2:9: found "255.0.255.0", expected a network mask such as 255.255.255.0 or /24`,
		"VIPADEF 0.0.0.0 DVA1":                      `2:9: found "0.0.0.0", expected a network mask such as 255.255.255.0 or /24`,
		"VIPADEF /0 DVA1":                           `2:9: found "/0", expected a mask of length 1 to 32 for 192.168.44.10`,
		"VIPADEF /33 DVA1":                          `2:9: found "/33", expected a mask of length 1 to 32 for 192.168.44.10`,
		"VIPADEF /129 2001:db8::1":                  `2:9: found "/129", expected a mask of length 1 to 128 for 2001:db8::1`,
		"VIPADEF 255.255.0.0 2001:db8::1":           `2:9: found "255.255.0.0", expected a prefix length such as /64 for the IPv6 address 2001:db8::1`,
		"VIPADEF MOVE NONDISRUPTIVE /24 DVA1":       `2:14: found "NONDISRUPTIVE", expected MOVEable IMMEDIATE`,
		"VIPADEF IMMEDIATE /24 DVA1":                `2:9: found "IMMEDIATE", expected a network mask such as 255.255.255.0 or /24`,
		"VIPADEF MOVE MOVE /24 DVA1":                `2:14: found MOVEable a second time, expected it once`,
		"VIPADEF CLUSTERPORTS SYSPLEXPORTS 24 DVA1": `2:22: found SYSPLEXPORTS a second time, expected it once`,
		"VIPADEF /24 DVA1 CLUSTERPORTS":             `2:18: found "CLUSTERPORTS", expected an address or a symbol; options stand before the operands`,
		"VIPADEF /24 DVA9":                          `2:13: found "DVA9", expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5`,
		"VIPADEF /24 192.168.44.300":                `2:13: found "192.168.44.300", expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5`,
		"VIPADEF /24 224.0.0.5":                     `2:13: found "224.0.0.5", which is a multicast address, expected the address of a host`,
		"VIPADEF /24 255.255.255.255":               `2:13: found "255.255.255.255", which is the broadcast address, expected the address of a host`,
		"VIPADEF /24 127.0.0.1":                     `2:13: found "127.0.0.1", which is a loopback address, expected the address of a host`,
		"VIPADEF /64 ::":                            `2:13: found "::", which is the unspecified address, expected the address of a host`,
		"VIPADEF /64 ::ffff:10.0.0.1":               `2:13: found "::ffff:10.0.0.1", which is IPv4 written as IPv6, expected the address of a host`,
		"VIPADEF /64 2001:db8::1%eth0":              `2:13: found "2001:db8::1%eth0", which is an address with a zone, expected the address of a host`,
		"VIPADEF /64 fe80::1":                       `2:13: found "fe80::1", which is a link-local address, expected the address of a host`,
		"VIPADEF /24 0.1.2.3":                       `2:13: found "0.1.2.3", which is an address of this network, expected the address of a host`,
		"VIPADEF /24 192.168.44.0":                  `2:13: found 192.168.44.0, which is the network 192.168.44.0/24 itself, expected the address of a host`,
		"VIPADEF /24 192.168.44.255":                `2:13: found 192.168.44.255, which is the broadcast address of 192.168.44.0/24, expected the address of a host`,
		"VIPADEF /24 DVA1 192.168.45.1":             `2:18: found 192.168.45.1, expected an address of 192.168.44.0/24 like 192.168.44.10 before it: the addresses of one VIPADEFine are of one subnet (T15)`,
		"VIPADEF /24 DVA1 2001:db8::1":              `2:18: found 2001:db8::1, expected an address of 192.168.44.0/24 like 192.168.44.10 before it: the addresses of one VIPADEFine are of one subnet (T15)`,
		define + define:                             `3:13: found 192.168.44.10 again, expected each DVIPA in one VIPADEFine or VIPABackup; it is in line 2 already`,
		define + "VIPAB 1 DVA1":                     `3:9: found 192.168.44.10 again, expected each DVIPA in one VIPADEFine or VIPABackup; it is in line 2 already`,
		"VIPADEF /24 " + strings.Repeat("é", 50):    `2:13: found "` + strings.Repeat("é", 40) + `"..., expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5`,

		// VIPABackup.
		"VIPAB DVA1":                      `2:7: found "DVA1", expected a rank from 1 to 254`,
		"VIPAB 0 DVA1":                    `2:7: found "0", expected a rank from 1 to 254`,
		"VIPAB 255 DVA1":                  `2:7: found "255", expected a rank from 1 to 254`,
		"VIPAB -1 DVA1":                   `2:7: found "-1", expected a rank from 1 to 254`,
		"VIPAB 99999999999999999999 DVA1": `2:7: found "99999999999999999999", expected a rank from 1 to 254`,
		"VIPAB 7":                         `3:1: found "ENDVIPADYNAMIC", expected an address or a symbol`,
		"VIPAB 7 MOVEABLE DVA1":           `2:9: found "MOVEABLE", expected an address or a symbol; options stand before the operands`,

		// VIPADISTribute.
		"VIPADIST DVA1 DESTIP ALL":         `2:10: found 192.168.44.10, expected an address of a VIPADEFine or VIPABackup of this profile (I14)`,
		dests:                              `4:1: found "ENDVIPADYNAMIC", expected PORT, CLUSTERPORTS or DESTIP`,
		dests + "80 DESTIP ALL":            `3:15: found "80", expected PORT, CLUSTERPORTS or DESTIP`,
		dests + "PORT 80":                  `4:1: found "ENDVIPADYNAMIC", expected a port, a range of ports, CLUSTERPORTS or DESTIP`,
		dests + "PORT 80 DEST ALL":         `3:23: found "DEST", expected a port, a range such as 80-90, CLUSTERPORTS or DESTIP`,
		dests + "PORT 80, DESTIP ALL":      `3:24: found "DESTIP", expected another item after the comma`,
		dests + "PORT 80 - 90 DESTIP ALL":  `3:23: found "-", expected a port, a range such as 80-90, CLUSTERPORTS or DESTIP`,
		dests + "PORT 80-90-99 DESTIP ALL": `3:20: found "80-90-99", expected a port, a range such as 80-90, CLUSTERPORTS or DESTIP`,
		dests + "PORT 0 65536 90-80 DESTIP ALL": "3:20: found \"0\", expected ports from 1 to 65535\n" +
			"3:22: found \"65536\", expected ports from 1 to 65535\n3:28: found \"90-80\", expected a range with its first port not above its last",
		dests + "PORT 85 80-90 DESTIP ALL":                     `3:20: found 85, which overlaps 80-90, expected each port once`,
		dests + "PORT 80 80 DESTIP ALL":                        `3:23: found 80, which overlaps 80, expected each port once`,
		dests + "PORT 1-100 5 50-60 DESTIP ALL":                "3:26: found 5, which overlaps 1-100, expected each port once\n3:28: found 50-60, which overlaps 1-100, expected each port once",
		dests + "PORT 5-0 DESTIP ALL":                          `3:20: found "5-0", expected ports from 1 to 65535`,
		dests + "DESTIP":                                       `4:1: found "ENDVIPADYNAMIC", expected ALL or the XCF address of a stack`,
		dests + "DESTIP .":                                     `3:22: found ".", expected ALL or the XCF address of a stack`,
		dests + "DESTIP ALL XCF1":                              `3:26: found "XCF1", expected the next statement or ENDVIPADynamic`,
		dests + "DESTIP ALL WEIGHT 2":                          `3:26: found "WEIGHT", expected the next statement or ENDVIPADynamic`,
		dests + "DESTIP XCF1 XCF2 XCF1":                        `3:32: found 10.1.0.1 a second time, expected each target once`,
		dests + "DESTIP XCF1, DVA1":                            `3:28: found the DVIPA 192.168.44.10, expected the XCF address of a stack`,
		dests + "DESTIP XCF1 WEIGHT 100":                       `3:34: found "100", expected a weight from 1 to 99`,
		dests + "DESTIP XCF1 WEIGHT XCF2":                      `3:34: found "XCF2", expected a weight from 1 to 99`,
		dests + "DESTIP ALL VIPADIST DVA1 DESTIP XCF1":         `3:35: found a second VIPADISTribute for 192.168.44.10, expected only that in line 3`,
		dests + "CLUSTERPORTS PORT 60 CLUSTERPORTS DESTIP ALL": `3:36: found CLUSTERPORTS a second time, expected it once`,

		// VIPARange.
		"VIPAR DISTRIB MOVE DVA1":           `2:20: found "DVA1", expected a network mask such as 255.255.255.0 or /24`,
		"VIPAR MOVE IMMEDIATE /24 DVA1":     `2:12: found "IMMEDIATE", expected MOVEable NONDISRUPTIVE`,
		"VIPAR /24 DVA1 DVB1":               `2:16: found "DVB1", expected the next statement or ENDVIPADynamic`,
		"VIPAR /24 DVA1 VIPAR /28 DVB1":     `2:16: found the range 192.168.44.0/28, expected one apart from 192.168.44.0/24 in line 2`,
		"VIPAR /24 DVA1 VIPAR DIST 24 DVB1": `2:16: found the range 192.168.44.0/24, expected one apart from 192.168.44.0/24 in line 2`,

		"VIPAR /28 DVB1 VIPAR /24 DVA1": `2:1: found the range 192.168.44.0/28, expected one apart from 192.168.44.0/24 in line 2`,
		"VIPAR /8 10.0.0.0 VIPAR /16 10.1.0.0 VIPAR /16 10.2.0.0": "2:19: found the range 10.1.0.0/16, expected one apart from 10.0.0.0/8 in line 2\n" +
			`2:38: found the range 10.2.0.0/16, expected one apart from 10.0.0.0/8 in line 2`,

		// SOURCEIPA.
		"SOURCEIPA DVA1":                      `3:1: found "ENDVIPADYNAMIC", expected the name of an application`,
		"SOURCEIPA APPA DVA1":                 `2:11: found "APPA", expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5`,
		"SOURCEIPA DVA1 A*A":                  `2:16: found "A*A", expected an application: 1 to 8 letters, digits, @, # or $, no digit first; or its beginning and *`,
		"SOURCEIPA DVA1 LONGERNAM":            `2:16: found "LONGERNAM", expected an application: 1 to 8 letters, digits, @, # or $, no digit first; or its beginning and *`,
		"SOURCEIPA DVA1 EIGHTCHR*":            `2:16: found "EIGHTCHR*", expected at most 7 letters, digits, @, # or $, no digit first, before the *`,
		"SOURCEIPA DVA1 **":                   `2:16: found "**", expected at most 7 letters, digits, @, # or $, no digit first, before the *`,
		"SOURCEIPA DVA1 7*":                   `2:16: found "7*", expected at most 7 letters, digits, @, # or $, no digit first, before the *`,
		"SOURCEIPA DVA1 A* SOURCEIPA DVB1 a*": `2:19: found a second source address for A*, expected only that in line 2`,
		"SOURCEIPA 2001:db8:44::10 APPA SOURCEIPA 2001:db8:44::11 APPA": `2:32: found a second source address for APPA for IPv6, expected only that in line 2`,
		"SOURCEIPA DVA1 APPA SOURCEIPA DVB1 appa":                       `2:21: found a second source address for APPA, expected only that in line 2`,

		// Several at once.
		"VIPADEF /99 DVA9\nVIPAB 300\nSOURCEIPA DVA1": "2:13: found \"DVA9\", expected an address or one of the symbols DVA1, DVB1, XCF1, XCF2, XCF3, XCF4, XCF5\n" +
			"3:7: found \"300\", expected a rank from 1 to 254\n4:1: found \"SOURCEIPA\", expected an address or a symbol\n" +
			`5:1: found "ENDVIPADYNAMIC", expected the name of an application`,
	} {
		t.Run(text, func(t *testing.T) {
			p, err := Parse("", []byte("VIPADYNAMIC\n"+text+"\nENDVIPADYNAMIC"), figure9)
			if err == nil {
				t.Fatalf("parses as:\n%s\nwant:\n%s", p, want)
			}
			if p != nil {
				t.Errorf("a profile beside the error: %s", p)
			}
			if got := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n:", "\n"), ":"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Errors outside of a block and of the text as a whole.
func TestErrorsAroundBlocks(t *testing.T) {
	for text, want := range map[string]string{
		"ENDVIPADYN":                    `p:1:1: found "ENDVIPADYN", expected VIPADynamic before it`,
		"HELLO":                         `p:1:1: found "HELLO", expected VIPADynamic`,
		"VIPADYN\n; end":                `p:2:6: found the end of the profile, expected ENDVIPADynamic for the block that began in line 1`,
		"VIPADYN ENDVIPADYN ENDVIPADYN": `p:1:20: found "ENDVIPADYN", expected VIPADynamic before it`,
		"VIPADYN ENDVIPADYN DVA1":       `p:1:20: found "DVA1", expected VIPADynamic or the end of the profile`,
		strings.Repeat(" ", maxText+1):  `p:1:1: found 1048577 bytes, expected at most 1048576`,
	} {
		if _, err := Parse("p", []byte(text), figure9); err == nil || err.Error() != want {
			t.Errorf("%.40q: got %v\nwant %s", text, err, want)
		}
	}
	a := netip.MustParseAddr("10.0.0.1")
	want := "p:1:1: symbol DVA1 is given twice, upper and lower case are the same"
	if _, err := Parse("p", nil, Symbols{"dva1": a, "DVA1": a}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, err := Parse("p", []byte("VIPADYN"+strings.Repeat(" VIPADEF", 1000)), nil)
	var all Errors
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Errorf("%d errors, want %d", len(all), maxErrors)
	}
	var one *Error
	if !errors.As(err, &one) || one.Pos != (Position{"p", 1, 17}) {
		t.Errorf("first error: %v", one)
	}
}

func TestCheckNames(t *testing.T) {
	for _, name := range []string{"", "1A", "-A", "A B", "É", "VIPADEF", "move", "ALL", "ABCDEFGHIJKLMNOPQ"} {
		if CheckSymbol(name) == nil {
			t.Errorf("symbol %q is accepted", name)
		}
	}
	for _, name := range []string{"DVA1", "@#$", "a_b-c", "ABCDEFGHIJKLMNOP", "VIPADE"} {
		if err := CheckSymbol(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "1A", "A_B", "VIPAR", "sourceipa", "ABCDEFGHI"} {
		if CheckApplication(name) == nil {
			t.Errorf("application %q is accepted", name)
		}
	}
	for _, name := range []string{"APPA", "nginx", "MOVE", "A1234567"} {
		if err := CheckApplication(name); err != nil {
			t.Error(err)
		}
	}
}

func ExampleParse() {
	_, err := Parse("mvs1.profile", []byte("VIPADynamic\n  VIPADEFine DVA1\nENDVIPADynamic"), nil)
	fmt.Println(err)
	// Output: mvs1.profile:2:14: found "DVA1", expected a network mask such as 255.255.255.0 or /24
}
