package datapath

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// ErrUnsupported: the kernel lacks something the data path is made of, or the inter-stack network
// cannot carry the address family. The error around it names what.
var ErrUnsupported = errors.New("not supported")

// Defaults of Config.
const (
	DefaultSize      = 1 << 20
	DefaultEmbryonic = 10 * time.Second
	DefaultEnded     = 3 * time.Second
	DefaultLease     = 80 * time.Millisecond
)

// Config is what a Path does not change while it is open.
type Config struct {
	// Self is the XCF address of this stack. Required. Where it is of IPv4, DVIPAs of both families
	// are served, by next hops that contract.NextHop makes of XCF addresses; where it is of
	// IPv6, those of IPv6 alone.
	Self netip.Addr
	// XCFInterface is the interface on the inter-stack network. Required.
	XCFInterface string
	// LoopInterface is where packets arrive that this stack itself sends to DVIPAs that it owns; "" where there is none.
	// They are as those that arrive by XCF.
	LoopInterface string
	// Outside are the interfaces towards the network; none for an inside stack.
	Outside []string
	// Size is the most entries of the CRT, 1 to 2^32-1; 0 means DefaultSize. Beyond it new
	// connections are dropped and counted.
	Size uint32
	// Embryonic is the life of an entry that selection made until AddConnections confirms
	// it; a SYN renews it. In milliseconds, at least one; 0 means DefaultEmbryonic.
	Embryonic time.Duration
	// Ended is how long the entry of an ended connection goes on routing, for the sake of a
	// connection that reused its addresses and ports before its end was known here and that
	// AddConnections is about to confirm. 0 means DefaultEnded.
	Ended time.Duration
	// Lease is how long the kernel goes on acting for the owner of a DVIPA after a Renew, MinLease or more; 0 is
	// DefaultLease. With what LeaseMargin adds it must not outlast what other stacks wait for (portfile.Lapse).
	Lease time.Duration
	// Formerly are DVIPAs that an earlier process of this stack may have owned: what comes for them is dropped like what
	// comes for those that this one has owned. Those of a family that is not served are passed over. Those in the table of
	// a process that did not close its Path are found there.
	Formerly []netip.Addr
}

// A Path is the data path of one stack. Its methods may be called at the same time.
type Path struct {
	// figures of the families that are served, IPv4 first.
	figures []figure
	self    netip.Addr
	// linger is Config.Ended.
	linger time.Duration
	// renews: putting an element that exists changes its timeout (Linux 6.12 and later).
	renews bool

	// mu is held while tables change; state is what they hold besides connections.
	mu    sync.Mutex
	state state
	write *socket
	read  *socket
	lease *lease
}

// Open makes the table "netdev vipa" in the network namespace of the calling thread, in place
// of one that an earlier process left. It needs CAP_NET_ADMIN over the namespace. An error that
// is ErrUnsupported names what the kernel lacks; nothing is left behind then.
func Open(c Config) (*Path, error) {
	p, err := newPath(c)
	if err != nil {
		return nil, fmt.Errorf("open data path: %w", err)
	}
	if err := p.install(c); err != nil {
		return nil, errors.Join(fmt.Errorf("open data path: %w", err), p.closeSockets())
	}
	return p, nil
}

func newPath(c Config) (*Path, error) {
	if !c.Self.IsValid() {
		return nil, errors.New("no XCF address")
	}
	xcf, err := net.InterfaceByName(c.XCFInterface)
	if err != nil {
		return nil, fmt.Errorf("find XCF interface %q: %w", c.XCFInterface, err)
	}
	for _, name := range c.Outside {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("find outside interface %q: %w", name, err)
		}
		if name == c.XCFInterface {
			return nil, fmt.Errorf("interface %q is both XCF and outside", name)
		}
	}
	length := cmp.Or(c.Lease, DefaultLease)
	if length < MinLease {
		return nil, fmt.Errorf("lease of %v, want %v or more", length, MinLease)
	}
	p := &Path{
		self:   c.Self,
		linger: cmp.Or(c.Ended, DefaultEnded),
		state:  newState(),
	}
	embryonic := cmp.Or(c.Embryonic, DefaultEmbryonic)
	if embryonic < time.Millisecond || p.linger < time.Millisecond {
		return nil, fmt.Errorf("timeouts %v and %v of entries are below a millisecond", embryonic, p.linger)
	}
	for _, f := range families(c.Self) {
		p.figures = append(p.figures, figure{
			family:    f,
			tables:    newTables(f, cmp.Or(c.Size, DefaultSize)),
			device:    uint32(xcf.Index),
			embryonic: embryonic,
			overIPv4:  c.Self.Is4(),
			lease:     length,
		})
	}
	if p.write, err = openSocket(); err != nil {
		return nil, err
	}
	if p.read, err = openSocket(); err != nil {
		return nil, errors.Join(err, p.write.Close())
	}
	if p.lease, err = openLease(); err != nil {
		return nil, errors.Join(err, p.write.Close(), p.read.Close())
	}
	return p, nil
}

// install puts the table, its sets and the fixed chains there in one transaction.
func (p *Path) install(c Config) error {
	earlier, err := p.earlier()
	if err != nil {
		return err
	}
	var b batch
	b.addTable() // so that there is one to delete
	b.deleteTable()
	p.skeleton(&b, c)
	if err := b.err; err != nil {
		return err
	}
	if err := p.write.commit(&b); err != nil {
		return p.diagnose(c, err)
	}
	renews, err := p.probeRenewal()
	p.renews = renews
	if err != nil {
		return err
	}
	return p.remember(slices.Concat(c.Formerly, earlier))
}

// earlier are the DVIPAs that an earlier process of this stack left in the kernel.
func (p *Path) earlier() (dvipas []netip.Addr, err error) {
	for _, g := range p.figures {
		err := p.read.elements(g.known, func(e element) error {
			if dvipa, ok := netip.AddrFromSlice(e.key); ok {
				dvipas = append(dvipas, dvipa)
			}
			return nil
		})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("find what an earlier process left: %w", err)
		}
	}
	return dvipas, nil
}

// remember takes DVIPAs for such as were owned.
func (p *Path) remember(dvipas []netip.Addr) error {
	w := wanted{known: make(map[netip.Addr]bool)}
	for _, dvipa := range dvipas {
		if p.of(dvipa) != nil {
			w.known[dvipa], p.state.answered[dvipa] = true, true
		}
	}
	return p.configure(w)
}

// skeleton adds the table with everything that is always there.
func (p *Path) skeleton(b *batch, c Config) {
	b.addTable()
	for _, g := range p.figures {
		for _, s := range g.all() {
			b.addSet(s)
		}
	}
	if len(c.Outside) > 0 {
		b.addBaseChain(chainOutside, ingress, c.Outside)
		b.addBaseChain(chainTold, egress, c.Outside)
	} else {
		b.addChain(chainOutside)
		b.addChain(chainTold)
	}
	inside := []string{c.XCFInterface}
	if c.LoopInterface != "" {
		inside = append(inside, c.LoopInterface)
	}
	b.addBaseChain(chainXCF, ingress, inside)
	b.addSet(awake)
	b.addBaseChain(chainLease, egress, []string{loopback})
	for _, g := range p.figures {
		for _, chain := range g.fixedChains() {
			b.addChain(chain)
		}
	}
	for _, r := range slices.Concat(baseRules(p.figures), leaseRules(p.figures)) {
		b.addRule(r)
	}
	for _, g := range p.figures {
		b.anonymous++
		errors, types := g.icmpErrors(b.anonymous)
		b.addSet(errors)
		b.putElements(errors, types...)
		for _, r := range g.rules(errors) {
			b.addRule(r)
		}
	}
}

// of is the figure that an address concerns, nil where its family is not served.
func (p *Path) of(a netip.Addr) *figure {
	for i := range p.figures {
		if p.figures[i].holds(a) {
			return &p.figures[i]
		}
	}
	return nil
}

// Close takes the table away; packets take their conventional way again.
func (p *Path) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b batch
	b.deleteTable()
	err := p.write.commit(&b)
	if err != nil {
		err = fmt.Errorf("close data path: %w", err)
	}
	return errors.Join(err, p.closeSockets())
}

func (p *Path) closeSockets() error {
	return errors.Join(p.write.Close(), p.read.Close(), p.lease.close())
}

// Apply commits the actions that concern the data path, in as few transactions as hold them,
// and passes over the others. Changes of DVIPAs, services and unique ports take effect
// together, ahead of those of connections; connections change in the order of the actions. The end of
// Settle comes last: what others told together with it is known by then.
//
// An action for an address that the data path does not serve is left out and reported as
// ErrUnsupported, the others are committed. A transaction that fails changes nothing; what
// earlier ones of the same call changed stays.
func (p *Path) Apply(actions []vipa.Action) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, refused := p.sort(actions)
	if err := p.configure(w); err != nil {
		return errors.Join(refused, fmt.Errorf("change services of the data path: %w", err))
	}
	failed := refused
	if err := p.connect(w.connections); err != nil {
		failed = errors.Join(failed, fmt.Errorf("change connections of the data path: %w", err))
	}
	if err := p.settle(w.settled); err != nil {
		failed = errors.Join(failed, fmt.Errorf("settle DVIPAs in the data path: %w", err))
	}
	return failed
}

// probeRenewal finds out whether this kernel changes the timeout of an element that is put
// again; before Linux 6.12 it keeps the old one and says nothing.
func (p *Path) probeRenewal() (bool, error) {
	ended := p.figures[0].ended
	key := make([]byte, ended.key.Bytes)
	var b batch
	b.putElements(ended, element{key: key, timeout: time.Hour})
	b.putElements(ended, element{key: key, timeout: 2 * time.Hour})
	if err := p.write.commit(&b); err != nil {
		return false, fmt.Errorf("probe renewal of timeouts: %w", err)
	}
	found, err := p.read.lookup(ended, [][]byte{key})
	if err != nil {
		return false, fmt.Errorf("probe renewal of timeouts: %w", err)
	}
	var undo batch
	undo.deleteElements(ended, element{key: key})
	if err := p.write.commit(&undo); err != nil {
		return false, fmt.Errorf("probe renewal of timeouts: %w", err)
	}
	return found[0] != nil && found[0].timeout == 2*time.Hour, nil
}
