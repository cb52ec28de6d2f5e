package cf

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// keptClaims is how many epochs back claims are kept. Who reads a directory while claims come and go may
// miss those that come; while it reads, fewer than this many go by.
const keptClaims = 16

// Claims are the Owners that links beside the port file tell (portfile.OwnersDirectory). They need neither the port
// file nor a lock.
type Claims struct {
	root string
	self portfile.Owner
	// text is what claims of this stack say.
	text string
	// lapse is portfile.Lapse of the plex.
	lapse time.Duration
	// peers are the stacks of the port file.
	peers func() ([]Peer, error)

	mu    sync.Mutex
	taken map[netip.Addr]takenClaim
}

var _ Owners = (*Claims)(nil)

// A takenClaim is the claim that this stack took last.
type takenClaim struct {
	epoch uint64
	at    time.Time
	// blind: claims before it were lost, and with them who may be answering.
	blind bool
	// dir is the directory of the claims, own and next the names in it of this claim and of the next
	// one, zero-terminated.
	dir       int
	own, next []byte
}

// OpenClaims returns the Owners beside a port file, for one stack of its plex. lapse is portfile.Lapse of the plex, and peers are the stacks of that file,
// by which Wait knows who is gone or frozen (File.Peers).
func OpenClaims(portFile string, self contract.Member, lapse time.Duration, peers func() ([]Peer, error)) *Claims {
	owner := portfile.Owner{Stack: self.Stack, XCF: self.XCF.Unmap(), Incarnation: self.Incarnation}
	return &Claims{
		root: portfile.OwnersDirectory(portFile), self: owner, text: owner.String(),
		lapse: lapse, peers: peers, taken: map[netip.Addr]takenClaim{},
	}
}

func (c *Claims) path(dvipa netip.Addr, name string) string {
	return filepath.Join(c.root, portfile.ClaimsDirectory(dvipa), name)
}

// Acquire is part of Owners. A *DamagedError says that no claim can be made.
func (c *Claims) Acquire(dvipa netip.Addr, after uint64) (uint64, error) {
	there, err := c.list(dvipa)
	if err != nil {
		return 0, err
	}
	if highest := there.highest(); highest > after {
		return c.superseded(dvipa, highest)
	}
	if after == math.MaxUint64 {
		return 0, fmt.Errorf("take %s: epoch %d is the last one", dvipa, after)
	}
	return c.claim(dvipa, after)
}

// claim takes the epoch after the one that was the highest a moment ago.
func (c *Claims) claim(dvipa netip.Addr, after uint64) (uint64, error) {
	epoch := after + 1
	if err := c.link(dvipa, portfile.ClaimName(epoch)); errors.Is(err, unix.EEXIST) {
		return c.superseded(dvipa, epoch)
	} else if err != nil {
		return 0, err
	}
	at := time.Now()
	// A claim that was made late, of an epoch whose own claim has been cleaned away, finds a later one.
	there, err := c.list(dvipa)
	if err != nil {
		return 0, err
	}
	if highest := there.highest(); highest > epoch {
		return 0, errors.Join(c.Ended(dvipa, epoch), supersededBy(c.superseded(dvipa, highest)))
	}
	blind := !there.has(epoch - 1)
	if blind {
		// Nothing stands in the way of earlier owners any more but that their own claims go.
		if err := c.remove(dvipa, there.before(epoch)); err != nil {
			return 0, err
		}
	}
	dir, err := unix.Open(c.path(dvipa, ""), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open claims of %s: %w", dvipa, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, taken := c.taken[dvipa]; taken {
		_ = unix.Close(before.dir)
	}
	c.taken[dvipa] = takenClaim{
		epoch: epoch, at: at, blind: blind && after > 0,
		dir: dir, own: terminated(portfile.ClaimName(epoch)), next: terminated(portfile.ClaimName(epoch + 1)),
	}
	return epoch, nil
}

func terminated(name string) []byte { return append([]byte(name), 0) }

// Close gives back what is open. Nothing else may be called any more. Claims stay.
func (c *Claims) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.taken {
		_ = unix.Close(t.dir)
	}
	clear(c.taken)
	return nil
}

// superseded is the outcome of Acquire where there is a later epoch.
func (c *Claims) superseded(dvipa netip.Addr, epoch uint64) (uint64, error) {
	owner, err := c.owner(dvipa, epoch)
	if err == nil && owner == c.self && c.Holds(dvipa, epoch) {
		return epoch, nil
	}
	return 0, &SupersededError{DVIPA: dvipa, Epoch: epoch, Owner: asMember(owner)}
}

func supersededBy(_ uint64, err error) error { return err }

func asMember(o portfile.Owner) contract.Member {
	return contract.Member{Stack: o.Stack, XCF: o.XCF, Incarnation: o.Incarnation}
}

// link makes a claim or a mark, with the directories that it needs.
func (c *Claims) link(dvipa netip.Addr, name string) error {
	path := c.path(dvipa, name)
	err := unix.Symlink(c.text, path)
	if errors.Is(err, unix.ENOENT) {
		for _, dir := range []string{c.root, filepath.Dir(path)} {
			_ = unix.Mkdir(dir, 0o700) // if it fails and is not there, so does the next step
		}
		err = unix.Symlink(c.text, path)
	}
	if err == nil || errors.Is(err, unix.EEXIST) {
		return err
	}
	return &DamagedError{Path: path, Problem: fmt.Sprintf("no claim can be made (%v): make room, and let this user write there", err), Full: isFull(err)}
}

// claims are the epochs of a DVIPA that there are claims of, in order, and those that have ended.
type claims struct {
	epochs []uint64
	ended  map[uint64]bool
}

func (l claims) highest() uint64 {
	if len(l.epochs) == 0 {
		return 0
	}
	return l.epochs[len(l.epochs)-1]
}

func (l claims) has(epoch uint64) bool {
	_, found := slices.BinarySearch(l.epochs, epoch)
	return found
}

func (l claims) before(epoch uint64) []uint64 {
	n, _ := slices.BinarySearch(l.epochs, epoch)
	return l.epochs[:n]
}

func (c *Claims) list(dvipa netip.Addr) (claims, error) {
	found := claims{ended: map[uint64]bool{}}
	dir, err := os.Open(c.path(dvipa, ""))
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("read claims of %s: %w", dvipa, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return found, fmt.Errorf("read claims of %s: %w", dvipa, err)
	}
	for _, name := range names {
		epoch, ended, ok := portfile.ParseClaimName(name)
		switch {
		case !ok:
		case ended:
			found.ended[epoch] = true
		default:
			found.epochs = append(found.epochs, epoch)
		}
	}
	slices.Sort(found.epochs)
	return found, nil
}

// owner reads a claim; fs.ErrNotExist says that it has been cleaned away.
func (c *Claims) owner(dvipa netip.Addr, epoch uint64) (portfile.Owner, error) {
	text, err := os.Readlink(c.path(dvipa, portfile.ClaimName(epoch)))
	if err != nil {
		return portfile.Owner{}, fmt.Errorf("read claim of %s: %w", dvipa, err)
	}
	owner, err := portfile.ParseOwner(text)
	if err != nil {
		return owner, fmt.Errorf("claim %d of %s: %w", epoch, dvipa, err)
	}
	return owner, nil
}

// Current is part of Owners. If what the highest claim says cannot be read, the epoch is returned with the error.
func (c *Claims) Current(dvipa netip.Addr) (uint64, contract.Member, error) {
	for {
		there, err := c.list(dvipa)
		if err != nil || len(there.epochs) == 0 {
			return 0, contract.Member{}, err
		}
		owner, err := c.owner(dvipa, there.highest())
		if errors.Is(err, fs.ErrNotExist) {
			continue // a later one has taken its place since
		}
		return there.highest(), asMember(owner), err
	}
}

// Holds is part of Owners. The claim of the next epoch is looked for first: claims are cleaned away in order,
// so if that one has come and gone, this stack's own went before it.
func (c *Claims) Holds(dvipa netip.Addr, epoch uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, taken := c.taken[dvipa]
	if !taken || t.epoch != epoch {
		return false
	}
	var text [128]byte
	if _, errno := readlink(t.dir, t.next, text[:]); errno != unix.ENOENT {
		return false
	}
	n, errno := readlink(t.dir, t.own, text[:])
	return errno == 0 && string(text[:n]) == c.text
}

// readlink is a raw system call: it does not wait, and its thread has to go on at once.
func readlink(dir int, name []byte, text []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0, 0)
	return int(n), errno
}

// Ended is part of Owners.
func (c *Claims) Ended(dvipa netip.Addr, epoch uint64) error {
	if err := c.link(dvipa, portfile.EndedName(epoch)); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// Wait is part of Owners. Once nobody answers any more, it cleans the claims, apart from that of who is told.
func (c *Claims) Wait(dvipa netip.Addr, epoch, told uint64) time.Duration {
	c.mu.Lock()
	t := c.taken[dvipa]
	c.mu.Unlock()
	since := c.lapse
	if t.epoch == epoch {
		since = max(0, c.lapse-time.Since(t.at))
	}
	there, err := c.list(dvipa)
	if err != nil {
		return since
	}
	var longest time.Duration
	if t.epoch != epoch || t.blind && told == 0 {
		longest = since
	}
	var peers map[netip.Addr]Peer
	var unknown error
	for _, earlier := range there.before(epoch) {
		if there.ended[earlier] || earlier == told {
			continue
		}
		owner, err := c.owner(dvipa, earlier)
		if err != nil {
			longest = max(longest, since)
			continue
		}
		if owner.XCF == c.self.XCF {
			continue // this stack, or one whose place it has taken
		}
		if peers == nil && unknown == nil {
			peers, unknown = c.peersByXCF()
		}
		if unknown != nil {
			longest = max(longest, since)
			continue
		}
		longest = max(longest, c.answers(owner, peers, since))
	}
	if longest == 0 {
		c.clean(dvipa, cmp.Or(told, epoch), there)
	}
	return longest
}

func (c *Claims) peersByXCF() (map[netip.Addr]Peer, error) {
	peers, err := c.peers()
	byXCF := make(map[netip.Addr]Peer, len(peers))
	for _, p := range peers {
		byXCF[p.XCF] = p
	}
	return byXCF, err
}

// answers is how long the owner of an earlier claim may go on answering; since is it for one that nothing is
// known of.
func (c *Claims) answers(owner portfile.Owner, peers map[netip.Addr]Peer, since time.Duration) time.Duration {
	switch peer, there := peers[owner.XCF]; {
	case !there, !peer.Alive, peer.Incarnation != owner.Incarnation:
		return 0
	case peer.Beats:
		// No beat after the claim prolongs anything: Holds fails since.
		return min(since, max(0, c.lapse-peer.Age))
	default:
		return since
	}
}

// clean removes what is not needed any more. What it cannot remove harms nothing and stays for the next owner.
func (c *Claims) clean(dvipa netip.Addr, epoch uint64, there claims) {
	var old []uint64
	for _, earlier := range there.before(epoch) {
		if earlier+keptClaims < epoch {
			old = append(old, earlier)
		} else if !there.ended[earlier] {
			_ = c.Ended(dvipa, earlier)
		}
	}
	_ = c.remove(dvipa, old)
}

// remove removes claims in the order of epochs, each after the mark that it has ended.
func (c *Claims) remove(dvipa netip.Addr, epochs []uint64) error {
	for _, epoch := range epochs {
		for _, name := range []string{portfile.EndedName(epoch), portfile.ClaimName(epoch)} {
			if err := unix.Unlink(c.path(dvipa, name)); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("remove claim %d of %s: %w", epoch, dvipa, err)
			}
		}
	}
	return nil
}
