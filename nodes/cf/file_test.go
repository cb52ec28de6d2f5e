package cf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var (
	dvipa4 = netip.MustParseAddr("44.0.0.10")
	dvipa6 = netip.MustParseAddr("2001:db8::10")

	background = context.Background()
)

// patience is how long a test waits for what ought to come.
const patience = 20 * time.Second

// config is that of stack MVSn in a plex of its own directory; checks come often.
func config(path string, n int) Config {
	return Config{
		Path: path, Plex: "PLEX1", Self: contract.Member{Stack: fmt.Sprintf("MVS%d", n), XCF: xcf(n), Incarnation: 1000},
		Rest: DefaultRest, Check: 10 * time.Millisecond,
	}
}

func xcf(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}) }

// portFilePath is a path for a port file that is gone after the test.
func portFilePath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "plexlab-cf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "ports")
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) { l.t.Logf("%s", b); return len(b), nil }

// open joins a port file until the end of the test.
func open(t testing.TB, c Config) *File {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(testLog{t}, nil)).With("stack", c.Self.Stack)
	f, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// eventually waits for a state that can be observed.
func eventually(t testing.TB, what string, state func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !state() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		nap(time.Millisecond)
	}
}

// bind claims a port and commits it, while the file is filling again and again.
func bind(f *File, dvipa netip.Addr, port uint16, use Use) (uint16, error) {
	for deadline := time.Now().Add(patience); ; {
		c, err := f.Claim(context.Background(), Request{DVIPA: dvipa, Port: port, Use: use})
		if errors.As(err, new(*FillingError)) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return c.Port(), c.Commit()
	}
}

func mustBind(t testing.TB, f *File, dvipa netip.Addr, port uint16, use Use) uint16 {
	t.Helper()
	got, err := bind(f, dvipa, port, use)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func release(t testing.TB, f *File, dvipa netip.Addr, ports ...Release) {
	t.Helper()
	freed, err := f.Release(t.Context(), dvipa, ports, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(freed) != len(ports) {
		t.Fatalf("freed %v of %v", freed, ports)
	}
}

// view is the whole port file, with a clean audit.
func view(t testing.TB, f *File) View {
	t.Helper()
	v, err := f.View(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.DVIPAs {
		for _, finding := range d.Findings {
			t.Errorf("%s: %v", d.DVIPA, finding)
		}
		if d.Problem != "" {
			t.Errorf("%s: %s", d.DVIPA, d.Problem)
		}
	}
	return v
}

func TestClaims(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := open(t, config(path, 1)), open(t, config(path, 2))
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
		mustBind(t, one, dvipa, 60, Shared)
		mustBind(t, two, dvipa, 60, Shared)
		mustBind(t, one, dvipa, 5000, Unique)
		mustBind(t, one, dvipa, 5000, Unique) // I18: its own kernel decides
		if first, second := mustBind(t, one, dvipa, 0, Unique), mustBind(t, two, dvipa, 0, Unique); first != 1024 || second != 1025 {
			t.Errorf("ports of the pool: %d and %d, want 1024 and 1025", first, second)
		}
		_, err := bind(two, dvipa, 5000, Unique)
		var inUse *InUseError
		if !errors.As(err, &inUse) || inUse.Holder != "MVS1 (10.1.0.1)" || !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("port that is unique elsewhere: %v", err)
		}
		if _, err := bind(two, dvipa, 60, Unique); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("unique port that is shared elsewhere: %v", err)
		}
		if _, err := bind(two, dvipa, 5000, Shared); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("shared port that is unique elsewhere: %v", err)
		}
		release(t, one, dvipa, Release{Port: 5000})
		mustBind(t, two, dvipa, 5000, Unique)
	}
	view(t, one)
}

// A claim that is aborted leaves all as it was, a freed port rests, and the pool is gone round.
func TestRoundThePool(t *testing.T) {
	t.Parallel()
	c := config(portFilePath(t), 1)
	c.Pool = contract.PortRange{First: 1024, Last: 1026}
	f := open(t, c)
	mustBind(t, f, dvipa4, 1024, Unique)
	release(t, f, dvipa4, Release{Port: 1024, Rest: true})
	if got := mustBind(t, f, dvipa4, 0, Unique); got != 1025 {
		t.Errorf("port %d, want 1025: 1024 rests", got)
	}
	claim, err := f.Claim(t.Context(), Request{DVIPA: dvipa4, Port: 0, Use: Unique})
	if err != nil {
		t.Fatal(err)
	}
	claim.Abort()
	if got := mustBind(t, f, dvipa4, 0, Unique); got != 1026 {
		t.Errorf("port %d, want 1026: it was not taken", got)
	}
	_, err = bind(f, dvipa4, 0, Unique)
	if !errors.As(err, new(*ExhaustedError)) || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("no port left: %v", err)
	}
	if got := mustBind(t, f, dvipa4, 1024, Unique); got != 1024 { // by its number
		t.Errorf("port %d, want 1024", got)
	}
	view(t, f)
}
