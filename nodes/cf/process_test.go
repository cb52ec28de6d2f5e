package cf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Eight stacks claim every port of a pool at once: no port goes twice, none is lost.
func TestEveryPortOfAPoolHasOneOwner(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	look := open(t, config(path, 100))
	var puppets []*puppet
	for i := 1; i <= 8; i++ {
		puppets = append(puppets, newPuppet(t, config(path, i)))
	}
	for _, p := range puppets {
		p.say("bind-all")
	}
	owner := map[uint16]string{}
	for _, p := range puppets {
		var ports []uint16
		if err := json.Unmarshal([]byte(p.line()), &ports); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s has %d ports", p.config.Self.Stack, len(ports))
		for _, port := range ports {
			if owner[port] != "" {
				t.Fatalf("port %d goes to %s and to %s", port, owner[port], p.config.Self.Stack)
			}
			owner[port] = p.config.Self.Stack
		}
	}
	if len(owner) != 64512 {
		t.Errorf("%d ports were claimed, want 64512", len(owner))
	}
	if d := view(t, look).DVIPAs[0]; d.Available != 0 || len(d.Ports) != 64512 {
		t.Errorf("%d ports are available and %d in use", d.Available, len(d.Ports))
	}
	for _, p := range puppets {
		p.say("release-all")
	}
	freed := 0
	for _, p := range puppets {
		n, err := strconv.Atoi(p.line())
		if err != nil {
			t.Fatal(err)
		}
		freed += n
	}
	if freed != 64512 {
		t.Errorf("%d ports were released, want 64512", freed)
	}
	if d := view(t, look).DVIPAs[0]; d.Available != 64512 || len(d.Ports) != 0 {
		t.Errorf("after the release %d ports are available and %d in use", d.Available, len(d.Ports))
	}
}

// killsVariable is how many processes TestKills kills inside updates.
const killsVariable = "PLEXLAB_CF_KILLS"

// A process that is killed at a random moment inside the updates of a port file leaves no lock, no
// port and nothing that the audit finds.
func TestKills(t *testing.T) {
	t.Parallel()
	kills := 60
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	path := portFilePath(t)
	c := config(path, 100)
	c.Rest = 0
	look := open(t, c)
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
		if err := look.Activate(dvipa); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	inside := 0
	const crowd = 4
	for round := 0; round*crowd < kills; round++ {
		var group sync.WaitGroup
		puppets := make([]*puppet, crowd)
		for i := range puppets {
			c := config(path, i+1)
			c.Rest, c.Self.Incarnation = 0, uint64(round+1)
			puppets[i] = newPuppet(t, c)
			puppets[i].say(fmt.Sprintf("churn %d", random.IntN(1<<30)))
			puppets[i].expect("churning")
			after := time.Duration(random.IntN(5_000)) * time.Microsecond
			group.Go(func() { nap(after); puppets[i].kill() })
		}
		group.Wait()
		for i := range 2 {
			var word [8]byte
			if _, err := unix.Pread(look.current.Load().fd, word[:], portfile.EntryOffset(i)+portfile.IntentOffset); err != nil {
				t.Fatal(err)
			}
			if portfile.Intent(binary.LittleEndian.Uint64(word[:])) != 0 {
				inside++
			}
		}
		for _, p := range puppets {
			eventually(t, "ports taken back", func() bool { return look.Reclaim(background, p.config.Self) == nil })
		}
		for _, d := range view(t, look).DVIPAs {
			if d.Available != 64512 || len(d.Ports) != 0 {
				t.Fatalf("round %d: %s has %d ports available and %d in use", round, d.DVIPA, d.Available, len(d.Ports))
			}
		}
		if members := view(t, look).Members; len(members) != 1 {
			t.Fatalf("round %d: slots %+v are left", round, members)
		}
	}
	t.Logf("%d killed, %d intents found", kills, inside)
}

// A holder that is frozen delays nobody beyond the timeout, and is named.
func TestFrozenHolder(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	f := open(t, config(path, 1))
	frozen := newPuppet(t, config(path, 2))
	if err := f.Activate(dvipa6); err != nil {
		t.Fatal(err)
	}
	frozen.say("hold")
	frozen.expect("holding")
	frozen.signal(unix.SIGSTOP)
	frozen.awaitState('T')
	begin := time.Now()
	_, err := bind(f, dvipa4, 0, Unique)
	took := time.Since(begin)
	var busy *BusyError
	want := fmt.Sprintf("MVS2 (10.1.0.2), process %d", frozen.Process.Pid)
	if !errors.As(err, &busy) || !errors.Is(err, unix.EAGAIN) || busy.Holder != want {
		t.Errorf("bind while a frozen process has the lock: %v, want it to name %s", err, want)
	}
	if took < DefaultLockTimeout || took > DefaultLockTimeout+patience/4 {
		t.Errorf("it took %v, want about %v", took, DefaultLockTimeout)
	}
	mustBind(t, f, dvipa6, 0, Unique)
	v, err := f.View(background)
	if err != nil || v.DVIPAs[0].Problem == "" {
		t.Errorf("view of the locked entry: %+v, error %v", v.DVIPAs, err)
	}
	if err := f.Reclaim(background, frozen.config.Self); !errors.Is(err, ErrAlive) {
		t.Errorf("reclaim of a stack that is frozen: %v, want ErrAlive", err)
	}
	frozen.kill()
	mustBind(t, f, dvipa4, 0, Unique)
	eventually(t, "ports taken back", func() bool { return len(view(t, f).Members) == 1 })
}

// The locks of a stack end with it although a process that it started lives on; only one that was given
// the descriptors themselves keeps them.
func TestChildrenOfAStack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		command string
		keeps   bool
	}{{"spawn", false}, {"inherit", true}} {
		path := portFilePath(t)
		f, two := open(t, config(path, 1)), newPuppet(t, config(path, 2))
		two.say("bind 5000")
		two.expect("5000")
		two.say(test.command)
		two.expect("spawned")
		two.say("hold")
		two.expect("holding")
		if err := two.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Process.Wait(); err != nil {
			t.Fatal(err)
		}
		if test.keeps {
			if _, err := bind(f, dvipa4, 5001, Unique); !errors.As(err, new(*BusyError)) {
				t.Errorf("%s: bind while the child has the lock: %v", test.command, err)
			}
			if err := f.Reclaim(background, two.config.Self); !errors.Is(err, ErrAlive) {
				t.Errorf("%s: reclaim: %v, want ErrAlive", test.command, err)
			}
		}
		two.input.Close() // ends the child
		eventually(t, "port taken back", func() bool {
			err := f.Reclaim(background, two.config.Self)
			return err == nil && len(view(t, f).Members) == 1
		})
		mustBind(t, f, dvipa4, 5000, Unique)
	}
}

// What a stack held is taken back once, also when several notice at once and the stack is back at that
// moment: nothing of what it takes anew is lost.
func TestReclaimAndRestartAtOnce(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	c := config(path, 3)
	c.Rest = 0
	one, two := open(t, config(path, 1)), open(t, config(path, 2))
	for round := range 40 {
		c.Self.Incarnation = uint64(2 * round)
		c.Self.Incarnation++
		before, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		for port := range uint16(20) {
			mustBind(t, before, dvipa4, 5000+port, Unique)
		}
		before.Close()
		after := c
		after.Self.Incarnation++
		var group sync.WaitGroup
		for _, f := range []*File{one, two} {
			group.Go(func() {
				if err := f.Reclaim(background, before.config.Self); err != nil && !errors.Is(err, ErrAlive) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		var back *File
		group.Go(func() {
			if back, err = Open(after); err != nil {
				t.Error(err)
				return
			}
			for port := range uint16(20) {
				if _, err := bind(back, dvipa4, 5000+port, Unique); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
		})
		group.Wait()
		if t.Failed() {
			return
		}
		d := view(t, back).DVIPAs[0]
		if len(d.Ports) != 20 || d.Ports[0].XCF[0] != c.Self.XCF {
			t.Fatalf("round %d: the stack that is back has %+v, want 20 ports", round, d.Ports)
		}
		back.Close()
		eventually(t, "ports taken back", func() bool { return one.Reclaim(background, after.Self) == nil })
	}
}

// A stack that starts takes back what it held itself before, if nobody else has; where an entry is
// locked, when it is next locked by it.
func TestARestartTakesBack(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	c := config(path, 1)
	c.Rest = 0
	before := open(t, c)
	mustBind(t, before, dvipa4, 5000, Unique)
	mustBind(t, before, dvipa6, 5000, Unique)
	before.Close()
	holder, err := openMapping(&before.config, &before.book)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.close()
	if err := tryLock(holder.locks.fd, portfile.EntryOffset(1)); err != nil {
		t.Fatal(err)
	}
	c.Self.Incarnation++
	after := open(t, c)
	if v, _ := after.View(background); len(v.DVIPAs) != 2 || len(v.DVIPAs[0].Ports) != 0 || len(v.DVIPAs[1].Ports) != 1 {
		t.Errorf("view after the start: %+v, want one port, in the entry that is locked", v.DVIPAs)
	}
	if err := unlock(holder.locks.fd, portfile.EntryOffset(1)); err != nil {
		t.Fatal(err)
	}
	mustBind(t, after, dvipa6, 5001, Unique)
	if ports := view(t, after).DVIPAs[1].Ports; len(ports) != 1 || ports[0].Port != 5001 {
		t.Errorf("ports in use after the lock was free: %+v, want 5001", ports)
	}
}

// 128 members and 1,024 DVIPAs fit, and not one more.
func TestAFullPlex(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	at := func(n int) Config {
		c := config(path, n%250)
		c.Self.XCF, c.Check = netip.AddrFrom4([4]byte{10, 1, byte(n / 250), byte(n % 250)}), time.Second
		c.Self.Stack = fmt.Sprintf("MVS%d", n)
		return c
	}
	dvipa := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{44, 0, byte(n / 256), byte(n % 256)}) }
	var files []*File
	for i := 1; i <= portfile.MaxMembers; i++ {
		files = append(files, open(t, at(i)))
	}
	more := open(t, at(portfile.MaxMembers+1))
	if got := state(t, more); got != Degraded {
		t.Errorf("the 129th stack is %v", got)
	}
	for i := range portfile.MaxEntries {
		mustBind(t, files[i%len(files)], dvipa(i), 5000, Unique)
	}
	if _, err := bind(files[0], dvipa(portfile.MaxEntries), 5000, Unique); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the 1025th DVIPA: %v, want ENOSPC", err)
	}
	release(t, files[7], dvipa(7), Release{Port: 5000})
	mustBind(t, files[0], dvipa(portfile.MaxEntries), 5000, Unique) // in the place of one without ports
	if _, err := bind(files[7], dvipa(7), 5000, Unique); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a DVIPA whose place was taken: %v, want ENOSPC", err)
	}
	v := view(t, files[0])
	if len(v.DVIPAs) != portfile.MaxEntries || len(v.Members) != portfile.MaxMembers {
		t.Errorf("%d DVIPAs of %d members", len(v.DVIPAs), len(v.Members))
	}
	files[5].Close()
	eventually(t, "a slot for the stack that waits for one", func() bool { _, err := bind(more, dvipa(0), 5001, Unique); return err == nil })
}

// A member with an IPv6 address is one like others, and marks ports for another.
func TestMarkForAnother(t *testing.T) {
	t.Parallel()
	path := portFilePath(t)
	six := config(path, 2)
	six.Self.XCF = netip.MustParseAddr("fd00::2")
	one, two, three := open(t, config(path, 1)), open(t, six), open(t, config(path, 3))
	mustBind(t, three, dvipa4, 5000, Unique)
	conflicts, err := one.Mark(background, dvipa4, six.Self.XCF, []Held{{5000, Unique}, {5001, Unique}, {60, Shared}})
	if err != nil {
		t.Fatal(err)
	}
	if len(conflicts) != 1 || conflicts[0] != (Conflict{5000, "MVS3 (10.1.0.3)"}) {
		t.Errorf("conflicts %v, want 5000 with MVS3", conflicts)
	}
	if _, err := bind(three, dvipa4, 5001, Unique); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("port marked for another: %v", err)
	}
	asked := []uint16(nil)
	freed, err := two.Release(background, dvipa4, []Release{{Port: 5001}, {Port: 5000}, {Port: 60}, {Port: 61}}, func(ports []uint16) ([]uint16, error) {
		asked = ports
		return ports[:2], nil
	})
	if err != nil || len(asked) != 3 || len(freed) != 2 {
		t.Errorf("asked for %v, freed %v, error %v", asked, freed, err)
	}
	mustBind(t, three, dvipa4, 5001, Unique)
	if _, err := one.Mark(background, dvipa4, netip.MustParseAddr("10.1.0.77"), []Held{{60, Shared}}); !errors.Is(err, unix.ESRCH) {
		t.Errorf("marking for a stack that there is not: %v", err)
	}
	m := one.current.Load()
	slot, _, _ := m.slotOf(six.Self.XCF)
	for state, want := range map[portfile.SlotState]error{portfile.SlotEnding: unix.ESRCH, portfile.SlotLive: nil} {
		if err := m.setSlotState(slot, state); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Mark(background, dvipa4, six.Self.XCF, []Held{{60, Shared}}); !errors.Is(err, want) {
			t.Errorf("marking for a stack in state %v: %v, want %v", state, err, want)
		}
	}
	if err := m.setSlotState(slot, portfile.SlotLive); err != nil {
		t.Fatal(err)
	}
	if err := one.Reclaim(background, contract.Member{XCF: netip.MustParseAddr("10.1.0.77"), Incarnation: 1}); err != nil {
		t.Errorf("reclaiming a stack that there is not: %v", err)
	}
	view(t, one)
}
