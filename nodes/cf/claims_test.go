package cf

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

func noPeers() ([]Peer, error) { return nil, nil }

// claimant is stack MVSn without a port file.
// lapse is that of a plex with the default of silence.
const lapse = 110 * time.Millisecond

func claimant(path string, n int) *Claims {
	return OpenClaims(path, config(path, n).Self, lapse, noPeers)
}

func mustAcquire(t testing.TB, o Owners, dvipa netip.Addr, after uint64) uint64 {
	t.Helper()
	epoch, err := o.Acquire(dvipa, after)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Holds(dvipa, epoch) {
		t.Fatalf("epoch %d of %s was acquired and is not held", epoch, dvipa)
	}
	return epoch
}

// names are the claims and marks of a DVIPA.
func names(t testing.TB, c *Claims, dvipa netip.Addr) []string {
	t.Helper()
	entries, err := os.ReadDir(c.path(dvipa, ""))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// An epoch is taken by comparing and setting, and who has it loses it at that moment.
func TestOwnership(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := claimant(path, 1), claimant(path, 2)
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
		if epoch, owner, err := one.Current(dvipa); epoch != 0 || owner != (contract.Member{}) || err != nil {
			t.Errorf("owner before anybody was: %d, %+v, %v", epoch, owner, err)
		}
		first := mustAcquire(t, one, dvipa, 0)
		if again := mustAcquire(t, one, dvipa, 0); again != first {
			t.Errorf("the same epoch once more: %d, want %d", again, first)
		}
		var superseded *SupersededError
		if _, err := two.Acquire(dvipa, 0); !errors.As(err, &superseded) || superseded.Epoch != first || superseded.Owner != one.selfMember() {
			t.Errorf("an epoch that was taken: %v", err)
		}
		if two.Holds(dvipa, first) || one.Holds(dvipa, first+1) || one.Holds(dvipa, 0) {
			t.Error("an epoch is held that is another's or nobody's")
		}
		second := mustAcquire(t, two, dvipa, first)
		if one.Holds(dvipa, first) {
			t.Error("the earlier epoch is still held")
		}
		if epoch, owner, err := one.Current(dvipa); epoch != second || owner != two.selfMember() || err != nil {
			t.Errorf("current owner: %d, %+v, %v; want %d, %+v", epoch, owner, err, second, two.selfMember())
		}
		if _, err := one.Acquire(dvipa, first); !errors.As(err, new(*SupersededError)) {
			t.Errorf("an epoch after one that is over: %v", err)
		}
		// The plex was started anew: the stack that comes first goes on where it ended.
		again := OpenClaims(path, contract.Member{Stack: "MVS1", XCF: xcf(1), Incarnation: 1001}, lapse, noPeers)
		if third := mustAcquire(t, again, dvipa, second); third != second+1 {
			t.Errorf("epoch %d after %d", third, second)
		}
	}
	if found := names(t, one, dvipa6); !slices.Equal(found, []string{"1", "2", "3"}) {
		t.Errorf("claims of %s: %v", dvipa6, found)
	}
}

func (c *Claims) selfMember() contract.Member { return asMember(c.self) }

// Claims that are not needed are cleaned away, and one that is made late of an epoch whose claim has gone wins
// nothing.
func TestStaleClaim(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two, three := claimant(path, 1), claimant(path, 2), claimant(path, 3)
	stale := mustAcquire(t, one, dvipa4, 0)
	epoch := stale
	for range 30 {
		epoch = mustAcquire(t, two, dvipa4, epoch)
		if wait := two.Wait(dvipa4, epoch, 0); wait != 0 {
			t.Fatalf("wait of %v for a stack that has no slot", wait)
		}
	}
	there, err := two.list(dvipa4)
	if err != nil {
		t.Fatal(err)
	}
	if len(there.epochs) != keptClaims+1 || there.epochs[0] != epoch-keptClaims {
		t.Errorf("claims left of epochs %v, want the last %d", there.epochs, keptClaims+1)
	}
	if one.Holds(dvipa4, stale) {
		t.Error("an epoch is held whose claim has been cleaned away, and the next as well")
	}
	// It looked before all the others, and goes on after them.
	var superseded *SupersededError
	if _, err := three.claim(dvipa4, stale); !errors.As(err, &superseded) || superseded.Epoch != epoch {
		t.Errorf("a stale claim: %v, want that it was superseded by epoch %d", err, epoch)
	}
	if one.Holds(dvipa4, stale) || three.Holds(dvipa4, stale+1) || !two.Holds(dvipa4, epoch) {
		t.Error("a stale claim changed who owns")
	}
}

// Where the directory has lost what others know, whoever still has a claim of a lower epoch loses it.
func TestEpochBeyondTheDirectory(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := claimant(path, 1), claimant(path, 2)
	low := mustAcquire(t, one, dvipa4, 0)
	if high := mustAcquire(t, two, dvipa4, 40); high != 41 {
		t.Errorf("epoch %d, want 41", high)
	}
	if one.Holds(dvipa4, low) {
		t.Error("the low epoch is still held")
	}
	if wait := two.Wait(dvipa4, 41, 40); wait != 0 {
		t.Errorf("wait of %v for who is told, though its claim is lost", wait)
	}
	if wait := two.Wait(dvipa4, 41, 0); wait <= 0 || wait > lapse {
		t.Errorf("wait of %v for owners that nothing is known of", wait)
	}
	if err := os.RemoveAll(two.root); err != nil {
		t.Fatal(err)
	}
	if two.Holds(dvipa4, 41) {
		t.Error("an epoch is held that is nowhere")
	}
	mustAcquire(t, two, dvipa4, 41)
}

// What cannot be done is said, and a claim that says nothing has no owner.
func TestClaimsCannotBeMade(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one := claimant(path, 1)
	if err := os.WriteFile(one.root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Acquire(dvipa4, 0); err == nil || one.Holds(dvipa4, 1) {
		t.Errorf("a claim where no directory can be: %v", err)
	}
	if err := os.Remove(one.root); err != nil {
		t.Fatal(err)
	}
	mustAcquire(t, one, dvipa4, 0)
	for _, content := range []string{"nonsense", "MVS2 10.1.0.2 0", "MVS2 fe80::1%eth0 1"} {
		if err := os.Symlink(content, one.path(dvipa4, "2")); err != nil {
			t.Fatal(err)
		}
		epoch, owner, err := one.Current(dvipa4)
		if epoch != 2 || owner != (contract.Member{}) || err == nil || one.Holds(dvipa4, 1) {
			t.Errorf("claim %q: epoch %d of %+v, %v", content, epoch, owner, err)
		}
		if wait := one.Wait(dvipa4, 1, 0); wait != 0 {
			t.Errorf("wait of %v for a later claim", wait)
		}
		if err := os.Remove(one.path(dvipa4, "2")); err != nil {
			t.Fatal(err)
		}
	}
	// Names that are no epochs are nobody's.
	for _, name := range []string{"0", "007", "-1", "x", "18446744073709551616"} {
		if err := os.Symlink("MVS2 10.1.0.2 1", one.path(dvipa4, name)); err != nil {
			t.Fatal(err)
		}
	}
	if epoch, _, err := one.Current(dvipa4); epoch != 1 || err != nil {
		t.Errorf("epoch %d, %v", epoch, err)
	}
}

// How long an owner before may go on answering, by what is known of it.
func TestWait(t *testing.T) {
	t.Parallel()
	old := contract.Member{Stack: "MVS1", XCF: xcf(1), Incarnation: 1000}
	alive := Peer{Member: old, Alive: true, Beats: true}
	aged := func(age time.Duration) *Peer { p := alive; p.Age = age; return &p }
	gone, reborn, silent := alive, alive, alive
	gone.Alive = false
	reborn.Incarnation++
	silent.Beats = false
	for _, c := range []struct {
		name     string
		peer     *Peer
		problem  error
		ended    bool
		from, to time.Duration
	}{
		{"nobody knows it", nil, nil, false, 0, 0},
		{"its process has ended", &gone, nil, false, 0, 0},
		{"it was started again", &reborn, nil, false, 0, 0},
		{"it runs", aged(0), nil, false, 1, lapse},
		{"it runs and says that it has ended", aged(0), nil, true, 0, 0},
		{"it has been frozen for a while", aged(90 * time.Millisecond), nil, false, 1, 20 * time.Millisecond},
		{"it has been frozen for long", aged(lapse), nil, false, 0, 0},
		{"it says nothing", &silent, nil, false, 1, lapse},
		{"the port file is damaged", nil, &DamagedError{}, false, 1, lapse},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := portFilePath(t)
			one := claimant(path, 1)
			two := OpenClaims(path, config(path, 2).Self, lapse, func() ([]Peer, error) {
				if c.peer == nil {
					return nil, c.problem
				}
				return []Peer{*c.peer}, c.problem
			})
			before := mustAcquire(t, one, dvipa4, 0)
			if c.ended {
				for range 2 { // once more: nothing to do
					if err := one.Ended(dvipa4, before); err != nil {
						t.Fatal(err)
					}
				}
			}
			epoch := mustAcquire(t, two, dvipa4, before)
			wait := two.Wait(dvipa4, epoch, 0)
			if wait < c.from || wait > c.to {
				t.Errorf("wait of %v, want %v to %v", wait, c.from, c.to)
			}
			eventually(t, "the wait is over", func() bool { return two.Wait(dvipa4, epoch, 0) == 0 })
			if found := names(t, two, dvipa4); !slices.Equal(found, []string{"1", "1.ended", "2"}) {
				t.Errorf("claims and marks %v, want that of the earlier owner ended", found)
			}
			// The next owner does not wait for one that nobody waits for.
			if three := claimant(path, 3); three.Wait(dvipa4, mustAcquire(t, three, dvipa4, epoch), 0) != 0 {
				t.Error("the next owner waits")
			}
		})
	}
}

// Who is told is not waited for, and goes on; who came before it is.
func TestWaitButForWhoIsTold(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	one, two := claimant(path, 1), claimant(path, 2)
	three := OpenClaims(path, config(path, 3).Self, lapse, func() ([]Peer, error) {
		return []Peer{{Member: asMember(one.self), Alive: true}, {Member: asMember(two.self), Alive: true}}, nil
	})
	told := mustAcquire(t, two, dvipa4, mustAcquire(t, one, dvipa4, 0))
	epoch := mustAcquire(t, three, dvipa4, told)
	if wait := three.Wait(dvipa4, epoch, told); wait <= 0 || wait > lapse {
		t.Errorf("wait of %v while the first may answer, want up to %v", wait, lapse)
	}
	if err := one.Ended(dvipa4, 1); err != nil {
		t.Fatal(err)
	}
	if wait := three.Wait(dvipa4, epoch, told); wait != 0 {
		t.Errorf("wait of %v when only who is told answers, want none", wait)
	}
	if found := names(t, three, dvipa4); !slices.Equal(found, []string{"1", "1.ended", "2", "3"}) {
		t.Errorf("claims and marks %v, want that of the one who is told to stand", found)
	}
	if wait := three.Wait(dvipa4, epoch, 0); wait <= 0 {
		t.Error("no wait for who answers and is not told")
	}
}

// claimerVariable makes the test binary a stack that takes epochs of dvipa4 for ever: path, number and
// incarnation of it. It says each one that it has got, and each that it finds lost.
const claimerVariable = "PLEXLAB_CF_TEST_CLAIMER"

func beClaimer(text string) error {
	var path string
	var n int
	var incarnation uint64
	if _, err := fmt.Sscan(text, &path, &n, &incarnation); err != nil {
		return err
	}
	c := OpenClaims(path, contract.Member{Stack: fmt.Sprintf("MVS%d", n), XCF: xcf(n), Incarnation: incarnation}, lapse, noPeers)
	random := rand.New(rand.NewPCG(uint64(n), incarnation))
	for {
		epoch, _, err := c.Current(dvipa4)
		if err != nil {
			return err
		}
		for i := random.IntN(4); i > 0; i-- { // and look away for a while
			nap(time.Duration(random.IntN(300)) * time.Microsecond)
		}
		got, err := c.Acquire(dvipa4, epoch)
		if errors.As(err, new(*SupersededError)) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println("got", got)
		for c.Holds(dvipa4, got) && random.IntN(50) > 0 {
			nap(10 * time.Microsecond)
		}
		c.Wait(dvipa4, got, 0)
	}
}

// racingVariable is how long TestClaimersRace lets them.
const racingVariable = "PLEXLAB_CF_RACE"

// Stacks of many processes race for a DVIPA, are killed and frozen in between: no epoch goes to two, and whoever
// freezes holds up nobody.
func TestClaimersRace(t *testing.T) {
	t.Parallel()
	racing := time.Second
	if text := os.Getenv(racingVariable); text != "" {
		var err error
		if racing, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	path := portFilePath(t)
	var claimers []*claimer
	incarnation := uint64(1)
	for n := range 6 {
		claimers = append(claimers, newClaimer(t, path, n+1, incarnation))
	}
	random := rand.New(rand.NewPCG(1, 2))
	kills, freezes := 0, 0
	for deadline := time.Now().Add(racing); time.Now().Before(deadline); {
		i := random.IntN(len(claimers))
		nap(time.Duration(random.IntN(5000)) * time.Microsecond)
		if random.IntN(2) == 0 {
			claimers[i].end()
			incarnation++
			claimers = append(claimers, newClaimer(t, path, i+1, incarnation))
			claimers[i], claimers[len(claimers)-1] = claimers[len(claimers)-1], claimers[i]
			kills++
			continue
		}
		if err := claimers[i].Process.Signal(unix.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		look := claimant(path, 9)
		before, _, err := look.Current(dvipa4)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the others go on while one is frozen", func() bool {
			now, _, err := look.Current(dvipa4)
			return err == nil && now > before
		})
		if err := claimers[i].Process.Signal(unix.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		freezes++
	}
	winner := map[uint64]int{}
	var highest uint64
	for i, c := range claimers {
		c.end()
		for _, epoch := range c.got {
			if other, taken := winner[epoch]; taken {
				t.Errorf("epoch %d went to claimers %d and %d", epoch, other, i)
			}
			winner[epoch] = i
			highest = max(highest, epoch)
		}
	}
	t.Logf("%d epochs, %d kills, %d freezes", highest, kills, freezes)
	if highest < 50 {
		t.Errorf("%d epochs in %v: they hardly raced", highest, racing)
	}
	// One that is superseded before it knows that it has an epoch, or killed, does not say so.
	t.Logf("%d of them were held", len(winner))
}

// claimer is such a process.
type claimer struct {
	*exec.Cmd
	done chan struct{}
	got  []uint64 // once it has ended
}

func newClaimer(t testing.TB, path string, n int, incarnation uint64) *claimer {
	t.Helper()
	c := &claimer{Cmd: exec.Command("/proc/self/exe"), done: make(chan struct{})}
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", claimerVariable, path, n, incarnation))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			epoch, err := strconv.ParseUint(strings.TrimPrefix(lines.Text(), "got "), 10, 64)
			if err == nil {
				c.got = append(c.got, epoch)
			}
		}
	}()
	t.Cleanup(c.end)
	return c
}

// end kills it. Again, it does nothing.
func (c *claimer) end() {
	if c.ProcessState == nil {
		_ = c.Process.Kill()
		<-c.done
		_ = c.Wait()
	}
}

// Ownership goes on while the port file is damaged and its locks are held by a frozen process.
func TestOwnershipWithoutThePortFile(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	frozen := newPuppet(t, config(path, 1))
	frozen.say("hold")
	frozen.expect("holding")
	frozen.signal(unix.SIGSTOP)
	frozen.awaitState('T')
	two := open(t, config(path, 2))
	claims := OpenClaims(path, two.config.Self, lapse, two.Peers)
	epoch := mustAcquire(t, claims, dvipa4, 0)
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	next := claimant(path, 3)
	mustAcquire(t, next, dvipa4, epoch)
	if claims.Holds(dvipa4, epoch) {
		t.Error("the earlier epoch is still held")
	}
	if found, err := filepath.Glob(path + "*"); err != nil || len(found) != 2 {
		t.Errorf("files beside the port file: %v, %v", found, err)
	}
}

func BenchmarkHolds(b *testing.B) {
	c := claimant(portFilePath(b), 1)
	epoch := mustAcquire(b, c, dvipa6, 0)
	before := processorTime(b)
	for b.Loop() {
		if !c.Holds(dvipa6, epoch) {
			b.Fatal("lost")
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func BenchmarkAcquire(b *testing.B) {
	c := claimant(portFilePath(b), 1)
	var epoch uint64
	before := processorTime(b)
	for b.Loop() {
		epoch = mustAcquire(b, c, dvipa6, epoch)
		c.Wait(dvipa6, epoch, 0)
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used, in the kernel too.
func processorTime(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
