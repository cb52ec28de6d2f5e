package routing

import (
	"strings"
	"testing"
	"time"
)

// What is seen, a look each watchEvery unless it says otherwise, and what comes of it.
func TestAdjacencyOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	const settles, stalls = 1200 * time.Millisecond, 800 * time.Millisecond
	for name, c := range map[string]struct {
		looks string // + linked, - not linked, ~ doubt, z a second without a look
		want  []Adjacency
	}{
		"nothing happens":           {"++++++++", nil},
		"a neighbour is lost":       {"+--------", []Adjacency{Missed, Lost}},
		"and comes back":            {"+----------++++++++", []Adjacency{Missed, Lost, Adjacent}},
		"for a moment":              {"+--++++++++", []Adjacency{Missed, Adjacent}},
		"again and again":           {"+-++-+-+--+", []Adjacency{Missed}},
		"comes back for a moment":   {"+-------++++----", []Adjacency{Missed, Lost}},
		"stopped, and not lost":     {"++z++++++++", []Adjacency{Missed, Adjacent}},
		"stopped, and then lost":    {"++z+------------", []Adjacency{Missed, Lost}},
		"stopped while it was lost": {"+-------z+++++++", []Adjacency{Missed, Lost, Adjacent}},
		"doubted":                   {"++~++++++++", []Adjacency{Missed, Adjacent}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			w := adjacencyWatch{linked: true, since: now, seen: now, settles: settles, stalls: stalls}
			var got []Adjacency
			for _, look := range c.looks {
				before := w.is
				switch look {
				case 'z':
					now = now.Add(time.Second)
				case '~':
					w.doubt(now)
				default:
					now = now.Add(watchEvery)
					w.look(look == '+', now)
				}
				if w.is != before {
					got = append(got, w.is)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("%s: got %v, want %v", c.looks, got, c.want)
			}
			for i, is := range c.want {
				if got[i] != is {
					t.Errorf("%s: got %v, want %v", c.looks, got, c.want)
				}
			}
		})
	}
}

// What BIRD prints of an IPv6 instance, whose own ways are not calculated; an IPv4 one has prefixes for the names of networks.
const database = `
area 0.0.0.0

	router 192.0.2.1
		unreachable
		network [192.0.2.2-2] metric 10
		external 2001:db8:51::10/128 metric2 16777213

	router 192.0.2.2
		distance 0
		network [192.0.2.2-2] metric 10
		stubnet 2001:db8:46::/64 metric 10

	network [192.0.2.2-2]
		unreachable
		router 192.0.2.2
		router 192.0.2.1
		address 2001:db8:44::/64
`

func TestRouterInDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		without string // a line that is not there
		router  string
		want    bool
	}{
		"each names the other":      {"", "192.0.2.1", true},
		"the network does not name": {"\t\trouter 192.0.2.1\n", "192.0.2.1", false},
		"the router does not name":  {"\t\tunreachable\n\t\tnetwork [192.0.2.2-2] metric 10\n", "192.0.2.1", false},
		"no such router":            {"", "192.0.2.3", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(database, c.without, "", 1)
			if got := inNetwork(strings.Split(text, "\n"), c.router); got != c.want {
				t.Errorf("got %t, want %t, in %s", got, c.want, text)
			}
		})
	}
}

// What is withdrawn waits for who takes it back.
func TestAdjacencyThatHasSettled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		is    Adjacency
		since time.Duration // that it last became Adjacent; 0: never
		want  bool
	}{
		"never was":         {Lost, 0, true},
		"just came back":    {Adjacent, takebackTakes / 2, false},
		"has been back":     {Adjacent, 2 * takebackTakes, true},
		"is lost, long ago": {Lost, 2 * takebackTakes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Daemon{adjacency: adjacencyWatch{is: c.is}}
			if c.since > 0 {
				d.adjacent = time.Now().Add(-c.since)
			}
			if got := d.hasSettled(); got != c.want {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}
