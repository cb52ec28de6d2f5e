package cf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// testPlex is what every coupling facility is tested with: the facilities of stacks MVS1, MVS2, ...
// by number, none at 0.
type testPlex struct {
	stacks []Facility
	lose   func(n int)           // ends a stack; the others reclaim what it held
	see    func(netip.Addr) View // of the whole of a DVIPA
}

// techniques are the ways to share ports.
var techniques = map[string]func(t *testing.T, stacks int, pool contract.PortRange, rest time.Duration) testPlex{
	"port file": func(t *testing.T, stacks int, pool contract.PortRange, rest time.Duration) testPlex {
		path := portFilePath(t)
		plex := testPlex{stacks: make([]Facility, stacks+1)}
		for n := 1; n <= stacks; n++ {
			c := config(path, n)
			c.Pool, c.Rest, c.LockTimeout = pool, rest, patience
			plex.stacks[n] = open(t, c)
		}
		plex.lose = func(n int) {
			if err := plex.stacks[n].Close(); err != nil {
				t.Error(err)
			}
			plex.reclaim(t, n)
		}
		plex.see = func(netip.Addr) View { return view(t, plex.stacks[1]) }
		return plex
	},
	// MVS1 keeps the ports of dvipa4, MVS2 those of dvipa6.
	"distributor": func(t *testing.T, stacks int, pool contract.PortRange, rest time.Duration) testPlex {
		w := newWire(t)
		plex := testPlex{stacks: make([]Facility, stacks+1)}
		for n := 1; n <= stacks; n++ {
			plex.stacks[n] = w.start(n, DistributorConfig{Pool: pool, Rest: rest, Timeout: patience}).d
		}
		w.announce(1, owner(dvipa4, 1))
		w.announce(2, owner(dvipa6, 1))
		w.settle()
		plex.lose = func(n int) {
			w.end(n)
			plex.reclaim(t, n)
		}
		plex.see = func(dvipa netip.Addr) View {
			w.settle()
			if dvipa == dvipa6 {
				return view(t, plex.stacks[2])
			}
			return view(t, plex.stacks[1])
		}
		return plex
	},
}

func (p testPlex) reclaim(t *testing.T, n int) {
	t.Helper()
	for other, f := range p.stacks {
		if f == nil || other == n {
			continue
		}
		if err := f.Reclaim(t.Context(), contract.Member{Stack: fmt.Sprintf("MVS%d", n), XCF: xcf(n), Incarnation: 1000}); err != nil {
			t.Error(err)
		}
	}
}

// ports are the ports of a DVIPA, such as "60 shared MVS1 MVS2", those that rest as "60 rests".
func (p testPlex) ports(dvipa netip.Addr) []string {
	var ports []string
	for _, d := range p.see(dvipa).DVIPAs {
		if d.DVIPA != dvipa {
			continue
		}
		for _, port := range d.Ports {
			text := fmt.Sprintf("%d rests", port.Port)
			if len(port.Holders) > 0 {
				text = fmt.Sprintf("%d %s %s", port.Port, port.Use, strings.Join(slices.Sorted(slices.Values(port.Holders)), " "))
			}
			ports = append(ports, text)
		}
	}
	return ports
}

func (p testPlex) expect(t *testing.T, dvipa netip.Addr, want ...string) {
	t.Helper()
	if got := p.ports(dvipa); !slices.Equal(got, want) {
		t.Errorf("ports of %s: %q, want %q", dvipa, got, want)
	}
}

func TestFacilities(t *testing.T) {
	t.Parallel()
	small := contract.PortRange{First: 2000, Last: 2002}
	for _, test := range []struct {
		name   string
		stacks int
		pool   contract.PortRange
		rest   time.Duration
		run    func(t *testing.T, p testPlex, dvipa netip.Addr)
	}{
		{"claims", 2, DefaultPool, DefaultRest, claimsOfPorts},
		{"round the pool", 1, small, DefaultRest, roundThePool},
		{"released ports rest", 2, small, DefaultRest, releasedPortsRest},
		{"a rest goes on after a use by number", 2, small, DefaultRest, restGoesOn},
		{"sockets are asked for before a release", 2, small, DefaultRest, socketsAreAskedFor},
		{"a port is not given back while it is claimed", 1, small, DefaultRest, claimedAgain},
		{"ports in use already", 3, small, DefaultRest, inUseAlready},
		{"a stack is gone", 3, small, DefaultRest, gone},
		{"every port has one owner", 4, contract.PortRange{First: 3000, Last: 3999}, 0, everyPort},
	} {
		for technique, plex := range techniques {
			for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
				t.Run(fmt.Sprintf("%s/%s/%s", test.name, technique, dvipa), func(t *testing.T) {
					t.Parallel()
					test.run(t, plex(t, max(test.stacks, 2), test.pool, test.rest), dvipa)
				})
			}
		}
	}
}

// I15 and I18: who may have what.
func claimsOfPorts(t *testing.T, p testPlex, dvipa netip.Addr) {
	one, two := p.stacks[1], p.stacks[2]
	mustBind(t, one, dvipa, 60, Shared)
	mustBind(t, two, dvipa, 60, Shared)
	mustBind(t, one, dvipa, 5000, Unique)
	mustBind(t, one, dvipa, 5000, Unique) // I18: its own kernel decides
	_, err := bind(two, dvipa, 5000, Unique)
	var inUse *InUseError
	if !errors.As(err, &inUse) || !strings.HasPrefix(inUse.Holder, "MVS1") || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("port that is unique elsewhere: %v", err)
	}
	if _, err := bind(two, dvipa, 60, Unique); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("unique port that is shared elsewhere: %v", err)
	}
	if _, err := bind(two, dvipa, 5000, Shared); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("shared port that is unique elsewhere: %v", err)
	}
	p.expect(t, dvipa, "60 shared MVS1 MVS2", "5000 unique MVS1")
	release(t, one, dvipa, Release{Port: 5000}, Release{Port: 60})
	p.expect(t, dvipa, "60 shared MVS2")
	mustBind(t, two, dvipa, 5000, Unique)
	p.expect(t, dvipa, "60 shared MVS2", "5000 unique MVS2")
	mustBind(t, two, dvipa, 60, Unique) // nobody else has it
	p.expect(t, dvipa, "60 unique MVS2", "5000 unique MVS2")
}

// A claim that is aborted leaves all as it was, and the pool is gone round.
func roundThePool(t *testing.T, p testPlex, dvipa netip.Addr) {
	f := p.stacks[1]
	next := func(port uint16) uint16 { return 2000 + (port-2000+1)%3 }
	first := mustBind(t, f, dvipa, 0, Unique)
	release(t, f, dvipa, Release{Port: first})
	second := mustBind(t, f, dvipa, 0, Unique)
	if second != next(first) {
		t.Errorf("port %d after %d, want %d", second, first, next(first))
	}
	claim, err := f.Claim(t.Context(), Request{DVIPA: dvipa, Use: Unique})
	if err != nil {
		t.Fatal(err)
	}
	claim.Abort()
	claim.Abort()
	p.expect(t, dvipa, fmt.Sprintf("%d unique MVS1", second))
	mustBind(t, f, dvipa, 0, Unique)
	mustBind(t, f, dvipa, 0, Unique)
	_, err = bind(f, dvipa, 0, Unique)
	if !errors.As(err, new(*ExhaustedError)) || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("no port left: %v", err)
	}
	p.expect(t, dvipa, "2000 unique MVS1", "2001 unique MVS1", "2002 unique MVS1")
	if claim, err = f.Claim(t.Context(), Request{DVIPA: dvipa, Port: 2000, Use: Unique}); err != nil {
		t.Fatal(err)
	}
	claim.Abort() // of a port that is held already
	p.expect(t, dvipa, "2000 unique MVS1", "2001 unique MVS1", "2002 unique MVS1")
}

func releasedPortsRest(t *testing.T, p testPlex, dvipa netip.Addr) {
	one, two := p.stacks[1], p.stacks[2]
	mustBind(t, one, dvipa, 2000, Unique)
	mustBind(t, two, dvipa, 2001, Unique)
	release(t, one, dvipa, Release{Port: 2000, Rest: true})
	release(t, two, dvipa, Release{Port: 2001, Rest: true})
	p.expect(t, dvipa, "2000 rests", "2001 rests")
	if port := mustBind(t, two, dvipa, 0, Unique); port != 2002 {
		t.Errorf("port %d, want 2002: the others rest", port)
	}
	if _, err := bind(one, dvipa, 0, Unique); !errors.As(err, new(*ExhaustedError)) {
		t.Errorf("the others rest: %v", err)
	}
	mustBind(t, two, dvipa, 2000, Unique) // by its number
	p.expect(t, dvipa, "2000 unique MVS2", "2001 rests", "2002 unique MVS2")
}

// Who asks for a port by its number while it rests does not end the rest: the peer of the connection
// before may be in TIME_WAIT still when the port is given back.
func restGoesOn(t *testing.T, p testPlex, dvipa netip.Addr) {
	one, two := p.stacks[1], p.stacks[2]
	for _, by := range []Facility{one, two} {
		for _, use := range []Use{Unique, Shared} {
			mustBind(t, one, dvipa, 2000, Unique)
			release(t, one, dvipa, Release{Port: 2000, Rest: true})
			p.expect(t, dvipa, "2000 rests")
			mustBind(t, by, dvipa, 2000, use)
			release(t, by, dvipa, Release{Port: 2000})
			p.expect(t, dvipa, "2000 rests")
			if _, err := p.stacks[2].Mark(t.Context(), dvipa, xcf(2), []Held{{2000, use}}); err != nil {
				t.Error(err)
			}
			release(t, two, dvipa, Release{Port: 2000})
			p.expect(t, dvipa, "2000 rests")
		}
	}
	mustBind(t, two, dvipa, 2001, Unique)
	mustBind(t, two, dvipa, 2002, Unique)
	if _, err := bind(two, dvipa, 0, Unique); !errors.As(err, new(*ExhaustedError)) {
		t.Errorf("the only port that is left rests: %v", err)
	}
}

func socketsAreAskedFor(t *testing.T, p testPlex, dvipa netip.Addr) {
	for n := 1; n <= 2; n++ {
		f, mine, other := p.stacks[n], uint16(100*n), uint16(100*(3-n))
		mustBind(t, f, dvipa, mine, Unique)
		mustBind(t, f, dvipa, mine+1, Unique)
		ports := []Release{{Port: mine}, {Port: mine + 1}, {Port: mine}, {Port: other}}
		if freed, err := f.Release(t.Context(), dvipa, ports, func([]uint16) ([]uint16, error) { return nil, unix.EIO }); !errors.Is(err, unix.EIO) || len(freed) > 0 {
			t.Errorf("the kernel cannot tell: freed %v, error %v", freed, err)
		}
		freed, err := f.Release(t.Context(), dvipa, ports, func(asked []uint16) ([]uint16, error) {
			if !slices.Equal(asked, []uint16{mine, mine + 1}) {
				t.Errorf("asked for %v", asked)
			}
			return asked[1:], nil
		})
		if err != nil || !slices.Equal(freed, []uint16{mine + 1}) {
			t.Errorf("freed %v, error %v", freed, err)
		}
	}
	p.expect(t, dvipa, "100 unique MVS1", "200 unique MVS2")
}

// T33: no bind comes between the look for sockets and the release.
func claimedAgain(t *testing.T, p testPlex, dvipa netip.Addr) {
	f := p.stacks[1]
	mustBind(t, f, dvipa, 60, Shared)
	bound := make(chan error, 1)
	freed, err := f.Release(t.Context(), dvipa, []Release{{Port: 60}}, func(ports []uint16) ([]uint16, error) {
		short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := f.Claim(short, Request{DVIPA: dvipa, Port: 60, Use: Shared}); err == nil {
			t.Error("claimed while it is given back")
		}
		go func() {
			_, err := bind(f, dvipa, 60, Shared)
			bound <- err
		}()
		return ports, nil
	})
	if err != nil || !slices.Equal(freed, []uint16{60}) {
		t.Errorf("freed %v, error %v", freed, err)
	}
	if err := <-bound; err != nil {
		t.Error(err)
	}
	p.expect(t, dvipa, "60 shared MVS1")
}

// T21, T22.
func inUseAlready(t *testing.T, p testPlex, dvipa netip.Addr) {
	keeper, another := 1, 2
	if dvipa == dvipa6 {
		keeper, another = 2, 1
	}
	mark := func(by, of int, ports ...Held) []Conflict {
		conflicts, err := p.stacks[by].Mark(t.Context(), dvipa, xcf(of), ports)
		if err != nil {
			t.Error(err)
		}
		return conflicts
	}
	mark(keeper, keeper, Held{60, Shared}, Held{2000, Unique})
	mark(keeper, 3, Held{2001, Unique})
	mark(3, 3, Held{60, Shared}, Held{2001, Unique})
	p.expect(t, dvipa, fmt.Sprintf("60 shared MVS%d MVS3", min(keeper, 3)), fmt.Sprintf("2000 unique MVS%d", keeper), "2001 unique MVS3")
	if port := mustBind(t, p.stacks[another], dvipa, 0, Unique); port != 2002 {
		t.Errorf("port %d, want 2002", port)
	}
	if conflicts := mark(keeper, keeper, Held{2001, Shared}); len(conflicts) != 1 || conflicts[0].Port != 2001 || !strings.HasPrefix(conflicts[0].Holder, "MVS3") {
		t.Errorf("conflicts %v, want MVS3 at port 2001", conflicts)
	}
	release(t, p.stacks[keeper], dvipa, Release{Port: 2001})
	release(t, p.stacks[3], dvipa, Release{Port: 2001})
	p.see(dvipa)
	mustBind(t, p.stacks[another], dvipa, 2001, Unique)
	if _, err := p.stacks[1].Mark(t.Context(), dvipa, xcf(9), []Held{{60, Shared}}); !errors.Is(err, unix.ESRCH) {
		t.Errorf("ports marked for nobody: %v", err)
	}
	if _, err := p.stacks[1].Mark(t.Context(), dvipa, xcf(1), []Held{{0, Shared}}); err == nil {
		t.Error("port 0 marked")
	}
}

// T32: what a stack held that is gone is available again, its unique ports after a rest.
func gone(t *testing.T, p testPlex, dvipa netip.Addr) {
	mustBind(t, p.stacks[3], dvipa, 60, Shared)
	mustBind(t, p.stacks[1], dvipa, 60, Shared)
	mustBind(t, p.stacks[3], dvipa, 61, Shared)
	mustBind(t, p.stacks[3], dvipa, 2000, Unique)
	p.lose(3)
	p.expect(t, dvipa, "60 shared MVS1", "2000 rests")
	for _, n := range []int{1, 2} {
		if port := mustBind(t, p.stacks[n], dvipa, 0, Unique); port == 2000 {
			t.Error("port 2000 given out while it rests")
		}
	}
	mustBind(t, p.stacks[1], dvipa, 2000, Unique)
}

// All stacks at once take every port of the pool, and give it back.
func everyPort(t *testing.T, p testPlex, dvipa netip.Addr) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	owners := make(map[uint16]int)
	for n := 1; n < len(p.stacks); n++ {
		for range 2 {
			wait.Go(func() {
				for {
					port, err := bind(p.stacks[n], dvipa, 0, Unique)
					if errors.As(err, new(*ExhaustedError)) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if other := owners[port]; other != 0 {
						t.Errorf("port %d given to MVS%d and MVS%d", port, other, n)
					}
					owners[port] = n
					mu.Unlock()
				}
			})
		}
	}
	wait.Wait()
	if len(owners) != 1000 {
		t.Errorf("%d ports given out, want 1000", len(owners))
	}
	if got := len(p.ports(dvipa)); got != 1000 {
		t.Errorf("%d ports held, want 1000", got)
	}
	for n := 1; n < len(p.stacks); n++ {
		wait.Go(func() {
			var ports []Release
			for port, owner := range owners {
				if owner == n {
					ports = append(ports, Release{Port: port})
				}
			}
			release(t, p.stacks[n], dvipa, ports...)
		})
	}
	wait.Wait()
	p.expect(t, dvipa)
}
