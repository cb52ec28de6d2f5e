package datapath

import (
	"time"

	"github.com/google/nftables"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// localExcess: see tables.local. It is longer than the step of any kernel's clock (CONFIG_HZ).
const localExcess = 20 * time.Millisecond

// Tables are the sets and maps of one family that rules ask and elements live in.
type tables struct {
	// known are the DVIPAs that this stack has, and those that it has owned: neighbours may go on to send to it.
	known set
	// owned are those that it acts for as their owner, each as long as its lease runs.
	owned set
	// settling are those whose connections other stacks have yet to tell (I20).
	settling set
	// crt maps the 4-tuple of a connection to the XCF address of its target.
	crt set
	// local holds, in addition, the 4-tuples whose target is this stack (I7). It is asked
	// first, since by crt alone the stack would forward to itself; for the same reason an
	// element outlives that of crt by localExcess.
	local set
	// ended holds the 4-tuples of connections that ended a short while ago, as long as the
	// other tables may hold them.
	ended set
	// unique maps the DVIPA and port of a cluster-wide port to the chain of its target: the CRT
	// entries with source zero.
	unique set
	// dpt maps the DVIPA and port of a service to the chain that selects a target.
	dpt set
}

func newTables(f family, size uint32) tables {
	fourTuple := nftables.MustConcatSetType(f.address, nftables.TypeInetService, f.address, nftables.TypeInetService)
	service := nftables.MustConcatSetType(f.address, nftables.TypeInetService)
	return tables{
		known:    set{name: f.name("dvipas"), key: f.address},
		owned:    set{name: f.name("owned"), key: f.address, size: contract.MaxDVIPAs, dynamic: true},
		settling: set{name: f.name("settling"), key: f.address},
		crt:      set{name: f.name("crt"), key: fourTuple, data: f.address, size: size, dynamic: true},
		local:    set{name: f.name("crt_local"), key: fourTuple, size: size, dynamic: true},
		ended:    set{name: f.name("crt_ended"), key: fourTuple, size: size, dynamic: true},
		unique:   set{name: f.name("crt_unique"), key: service, data: nftables.TypeVerdict},
		dpt:      set{name: f.name("dpt"), key: service, data: nftables.TypeVerdict},
	}
}

func (t tables) all() []set {
	return []set{t.known, t.owned, t.settling, t.crt, t.local, t.ended, t.unique, t.dpt}
}

// known and settling choose a set.
func known(t tables) set    { return t.known }
func settling(t tables) set { return t.settling }
