package datapath

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func TestOpenNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 0)
	for _, c := range []struct {
		config      Config
		unsupported bool
		says        string
	}{
		{Config{XCFInterface: "xcf0"}, false, "no XCF address"},
		{Config{Self: l.xcf(1), XCFInterface: "xcf9"}, false, `XCF interface "xcf9"`},
		{Config{Self: l.xcf(1), XCFInterface: "xcf0", Outside: []string{"ext9"}}, false, `outside interface "ext9"`},
		{Config{Self: l.xcf(1), XCFInterface: "xcf0", Outside: []string{"xcf0"}}, false, `"xcf0" is both`},
		{Config{Self: l.xcf(1), XCFInterface: "xcf0", Embryonic: 1}, false, "below a millisecond"},
	} {
		err := l.owner().try(func() error {
			_, err := Open(c.config)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("open %+v: %v, want an error that says %q, unsupported %v", c.config, err, c.says, c.unsupported)
		}
	}
	want(t, "ruleset after failures to open", "", l.owner().nft("list", "ruleset"))
}

func TestOpenWithoutTheRight(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 0)
	err := l.owner().try(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil { // of this thread
			return err
		}
		_, err := Open(Config{Self: l.xcf(1), XCFInterface: "xcf0"})
		return err
	})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("open without capabilities: %v, want EPERM that names CAP_NET_ADMIN", err)
	}
}

// An earlier process left its table; the next one begins with an empty one.
func TestOpenReplacesTable(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 1)
	killed := l.open(Config{})
	apply(t, killed, append(l.own(), l.distribute(80, 2), l.add(2, 4000))...)
	p := new(Path)
	l.owner().do(func() (err error) {
		p, err = Open(Config{Self: l.xcf(1), XCFInterface: "xcf0", Outside: []string{"ext0", "lo"}})
		return err
	})
	defer p.closeSockets()
	want(t, "entries", 0, len(entries(t, p)))
	listing := l.owner().nft("list", "chain", "netdev", tableName, chainOutside)
	if !strings.Contains(listing, "devices = { ext0, lo }") {
		t.Errorf("chain at two interfaces:\n%s", listing)
	}
}

// Every probe passes on a kernel that has it all, and leaves nothing behind.
func TestProbes(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 1)
	p := l.open(Config{})
	before := l.owner().nft("list", "ruleset")
	c := Config{XCFInterface: "xcf0"}
	for _, f := range p.features(c) {
		var b batch
		f.try(&b)
		if err := p.write.check(&b); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	refused := errors.New("refused")
	if err := p.diagnose(c, refused); err != refused {
		t.Errorf("with nothing missing the diagnosis is %v, want what was refused", err)
	}
	p.figures[1].nfproto = unix.NFPROTO_ARP // which fwd does not know
	if err := p.diagnose(c, refused); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "fwd") {
		t.Errorf("diagnosis of a kernel without fwd: %v, want ErrUnsupported that names it", err)
	}
	want(t, "ruleset after probes", before, l.owner().nft("list", "ruleset"))
}

// What cannot be forwarded is refused by name, and the rest is done.
func TestApplyRefusesWhatXCFCannotCarry(t *testing.T) {
	t.Parallel()
	l := newLab(t, everyFamily["IPv6"], 1)
	p := l.open(Config{})
	four := of4.dvipa
	err := p.Apply(append(l.own(), vipa.Activate{DVIPA: four}, l.distribute(80, 2), vipa.SetWayOut{}))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), four.String()) {
		t.Errorf("apply: %v, want ErrUnsupported that names %v", err, four)
	}
	mixed := contract.Connection{Remote: netip.AddrPortFrom(four, 4000), Local: l.service(80)}
	for _, action := range []vipa.Action{
		vipa.SetTargets{Service: l.service(81), Targets: []contract.Target{{XCF: of4.xcf(2)}}},
		vipa.SetUnique{Service: l.service(81), Target: of4.xcf(2)},
		vipa.DropTarget{Target: of4.xcf(2)},
		vipa.AddConnections{Target: l.xcf(2), Connections: []contract.Connection{mixed}},
	} {
		if err := p.Apply([]vipa.Action{action}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("apply %+v: %v, want ErrUnsupported", action, err)
		}
	}
	want(t, "services", 1, len(p.DPT()))
}

// DVIPAs of both families are served side by side, by targets on an inter-stack network of IPv4.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	four, six := newLab(t, of4, 2), everyFamily["IPv6 on XCF of IPv4"]
	p := four.open(Config{})
	apply(t, p, append(four.own(), six.own()...)...)
	apply(t, p, four.distribute(80, 2, 3), six.distribute(80, 1, 2))
	apply(t, p, four.add(2, 4000), six.add(2, 4000), four.add(3, 4001), six.add(1, 4001))
	want(t, "connections of both families", 4, len(entries(t, p)))
	for _, a := range []addresses{four.addresses, six} {
		want(t, "target of a connection to "+a.dvipa.String(), a.xcf(2), find(t, p, a.from(4000)).Target)
	}
	want(t, "local connections of IPv6", 1, size(t, p, six.figure(p).local))
	want(t, "local connections of IPv4", 0, size(t, p, four.figure(p).local))
	apply(t, p, vipa.DropTarget{Target: four.xcf(2)})
	want(t, "connections left", 2, len(entries(t, p)))
	if err := p.LetExpire(four.xcf(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	if e := find(t, p, six.from(4001)); e.Expires == 0 {
		t.Error("a connection that is let expire stays")
	}
}
