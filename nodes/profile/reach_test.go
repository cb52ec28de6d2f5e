package profile

import (
	"net/netip"
	"testing"
)

// A DVIPA or a range that is added where nobody finds it is refused, at its place and by its statement.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	subnet, other := netip.MustParsePrefix("192.168.44.0/24"), netip.MustParsePrefix("10.7.0.0/16")
	current, err := Parse("in force", []byte("VIPADYN VIPADEF /24 203.0.113.9 ENDVIPADYN"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		outside    []netip.Prefix
		advertised bool
		want       string
	}{
		{"inside", "VIPADEF /24 192.168.44.9 VIPAB 3 192.168.44.10 VIPARANGE /28 192.168.44.64", []netip.Prefix{subnet}, false, ""},
		{"in the second subnet", "VIPADEF /16 10.7.1.9", []netip.Prefix{subnet, other}, false, ""},
		{"outside", "VIPADEF /24 192.168.45.9", []netip.Prefix{subnet}, false,
			"more:1:21: VIPADEFine: found the DVIPA 192.168.45.9, expected one in 192.168.44.0/24, the outside subnet of MVS1; a routing protocol (advertising) lifts that"},
		{"backup outside", "VIPAB 3 192.168.45.9", []netip.Prefix{subnet, other}, false,
			"more:1:17: VIPABackup: found the DVIPA 192.168.45.9, expected one in an outside subnet of MVS1: [192.168.44.0/24 10.7.0.0/16]; a routing protocol (advertising) lifts that"},
		{"range wider than the subnet", "VIPARANGE /23 192.168.44.0", []netip.Prefix{subnet}, false,
			"more:1:23: VIPARange: found the range 192.168.44.0/23, expected one in 192.168.44.0/24, the outside subnet of MVS1; a routing protocol (advertising) lifts that"},
		{"no outside link", "VIPADEF /24 192.168.44.9", nil, false,
			"more:1:21: VIPADEFine: found the DVIPA 192.168.44.9, expected none: MVS1 has no link to an outside network"},
		{"routing protocol", "VIPADEF /24 192.168.45.9 VIPARANGE /23 192.168.46.0", []netip.Prefix{subnet}, true, ""},
	} {
		obeyed, err := Obey(current, "more", []byte("VIPADYN "+test.text+" ENDVIPADYN"), nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got := ""
		if err := obeyed.Unreachable(Reach{Stack: "MVS1", Outside: test.outside, Advertised: test.advertised}); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
