package sockets

// A walk is a look at all connections of the namespace. Of a server whose clients close first there are many ends,
// of which nothing is left, and few connections at a time: one walk then tells what a look-up for each would.

const (
	// worthOfWalk look-ups take as long as a walk over the buckets of a table of its own, or longer.
	worthOfWalk = 64
	// crowdInWalk is how many of them take as long as it does for one connection to be told.
	crowdInWalk = 2
	// ownBuckets is the most that a namespace's table may have.
	ownBuckets = 64 << 10
)

// worthWalk says whether a walk is cheaper than so many look-ups.
func (m *Monitor) worthWalk(lookups int) bool {
	return m.walkable && lookups >= worthOfWalk && lookups >= crowdInWalk*m.crowd
}

// walk answers as remainder.lookup does, about any number of connections.
func (m *Monitor) walk(probes []probe) ([]diagSocket, error) {
	there := map[Connection]diagSocket{}
	m.crowd = 0
	err := m.diag.dump(anyConnection, func(s diagSocket) {
		m.crowd++
		there[s.connection()] = s
	})
	if err != nil {
		return nil, err
	}
	found := make([]diagSocket, len(probes))
	for i, p := range probes {
		found[i] = there[p.connection]
	}
	return found, nil
}

// hasOwnTable says whether the connections of the network namespace that the calling thread is in stand in a hash
// table of its own (net.ipv4.tcp_child_ehash_entries, Linux 6.1), of few buckets. It is negative where the table is that
// of the host, which takes milliseconds to walk over.
func hasOwnTable() bool {
	setting, err := openSysctl("net/ipv4/tcp_ehash_entries")
	if err != nil {
		return false // an earlier kernel
	}
	defer setting.close()
	buckets := 0
	return setting.numbers(&buckets) == nil && buckets > 0 && buckets <= ownBuckets
}
