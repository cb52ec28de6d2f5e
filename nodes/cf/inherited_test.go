package cf

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// left are ports of dvipa4 that sockets have still when a stack is started again.
func left(dvipa netip.Addr) []uint16 {
	if dvipa != dvipa4 {
		return nil
	}
	return []uint16{60, 5000, 7000}
}

// A stack that is started again has what sockets of its system use from its first moment in the file, whether what its
// incarnation before had was taken back meanwhile or not. What nothing uses is given back.
func TestInheritedPorts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		reclaimed bool
		want      string // how port 5000 is held
	}{
		{"at once", false, "5000 unique MVS1"},
		{"when it was taken back", true, "5000 shared MVS1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			c := config(path, 1)
			one := open(t, c)
			seldom := config(path, 2)
			seldom.Check = time.Hour
			two := open(t, seldom)
			mustBind(t, one, dvipa4, 60, Shared)
			mustBind(t, one, dvipa4, 5000, Unique)
			mustBind(t, one, dvipa4, 5001, Unique)
			if err := one.Close(); err != nil {
				t.Fatal(err)
			}
			if test.reclaimed {
				if err := two.Reclaim(t.Context(), c.Self); err != nil {
					t.Fatal(err)
				}
			}
			c.Self.Incarnation++
			c.InUse = left
			one = open(t, c)
			for _, port := range left(dvipa4) {
				if _, err := bind(two, dvipa4, port, Unique); !errors.As(err, new(*InUseError)) {
					t.Errorf("claim of port %d, which is in use at MVS1: %v", port, err)
				}
			}
			mustBind(t, two, dvipa4, 5001, Unique)
			if inherited := one.Inherited()[dvipa4]; !slices.Equal(inherited, left(dvipa4)) {
				t.Errorf("inherited %v, want %v", inherited, left(dvipa4))
			}
			if again := one.Inherited(); len(again) > 0 {
				t.Errorf("inherited once more: %v", again)
			}
			plex := testPlex{see: func(netip.Addr) View { return view(t, two) }}
			plex.expect(t, dvipa4, "60 shared MVS1", test.want, "5001 unique MVS2", "7000 shared MVS1")
			if _, err := one.Mark(t.Context(), dvipa4, xcf(1), []Held{{5000, Unique}, {7000, Unique}}); err != nil {
				t.Fatal(err)
			}
			release(t, one, dvipa4, Release{Port: 60})
			plex.expect(t, dvipa4, "5000 unique MVS1", "5001 unique MVS2", "7000 unique MVS1")
		})
	}
}

// An owner knows what a stack that was started again uses before it gives out anything.
func TestInheritedPortsAreToldToTheOwner(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{})
	again := w.start(3, DistributorConfig{InUse: left, Timeout: patience})
	for _, port := range left(dvipa4) {
		if _, err := bind(stacks[2].d, dvipa4, port, Unique); !errors.As(err, new(*InUseError)) {
			t.Errorf("claim of port %d, which is in use at MVS3: %v", port, err)
		}
	}
	if inherited := again.d.Inherited()[dvipa4]; !slices.Equal(inherited, left(dvipa4)) {
		t.Errorf("inherited %v, want %v", inherited, left(dvipa4))
	}
	release(t, again.d, dvipa4, Release{Port: 60}, Release{Port: 5000})
	stacks[1].expect(t, w, "7000 shared MVS3")
}
