package segment

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
)

func TestPatternsSurviveAFile(t *testing.T) {
	for _, want := range []Pattern{
		{},
		Connect(netip.MustParseAddrPort("192.0.2.1:20000"), netip.MustParseAddrPort("192.0.2.9:80")),
		{Dst: netip.AddrPortFrom(netip.Addr{}, 80), Has: RST | ACK},
		{Src: netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 0), Payload: []byte("request\x00")},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Pattern
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: want %+v, got %+v, %v", text, want, got, err)
		}
	}
}
