package datapath

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func TestOpenNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := newLab(t, 0)
	for _, c := range []struct {
		config      Config
		unsupported bool
		says        string
	}{
		{Config{Self: netip.MustParseAddr("fd00::1"), XCFInterface: "xcf0"}, true, "fd00::1 is not IPv4"},
		{Config{Self: xcfAddr(1), XCFInterface: "xcf9"}, false, `XCF interface "xcf9"`},
		{Config{Self: xcfAddr(1), XCFInterface: "xcf0", Outside: []string{"ext9"}}, false, `outside interface "ext9"`},
		{Config{Self: xcfAddr(1), XCFInterface: "xcf0", Outside: []string{"xcf0"}}, false, `"xcf0" is both`},
		{Config{Self: xcfAddr(1), XCFInterface: "xcf0", Embryonic: 1}, false, "below a millisecond"},
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
	l := newLab(t, 0)
	err := l.owner().try(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil { // of this thread
			return err
		}
		_, err := Open(Config{Self: xcfAddr(1), XCFInterface: "xcf0"})
		return err
	})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("open without capabilities: %v, want EPERM that names CAP_NET_ADMIN", err)
	}
}

// An earlier process left its table; the next one begins with an empty one.
func TestOpenReplacesTable(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	killed := l.open(Config{})
	apply(t, killed, append(own(), distribute(80, 2), add(2, 4000))...)
	p := new(Path)
	l.owner().do(func() (err error) {
		p, err = Open(Config{Self: xcfAddr(1), XCFInterface: "xcf0", Outside: []string{"ext0", "lo"}})
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
	l := newLab(t, 1)
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
	p.nfproto = unix.NFPROTO_ARP // which fwd does not know
	if err := p.diagnose(c, refused); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "fwd") {
		t.Errorf("diagnosis of a kernel without fwd: %v, want ErrUnsupported that names it", err)
	}
	want(t, "ruleset after probes", before, l.owner().nft("list", "ruleset"))
}

// What the data path does not serve is refused by name, and the rest is done.
func TestApplyRefusesIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	p := l.open(Config{})
	six := netip.MustParseAddr("2001:db8::100")
	err := p.Apply(append(own(), vipa.Activate{DVIPA: six}, distribute(80, 2), vipa.SetWayOut{},
		vipa.SetTargets{Service: service(81), Targets: []contract.Target{{XCF: six}}}))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), six.String()) {
		t.Errorf("apply: %v, want ErrUnsupported that names %v", err, six)
	}
	want(t, "services", 1, len(p.DPT()))
}
