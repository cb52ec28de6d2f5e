package sockets

import (
	"cmp"
	"slices"
)

// listeners are the listening sockets that were reported, by cookie.
type listeners struct {
	reported map[uint64]Socket
	// found were met for the first time by the last look. A broker that has just carried out
	// a listen() is about to report it, with the application's name; the next look believes
	// that there is no broker.
	found map[uint64]struct{}
	// shadowed are those reported ones that a look-up by address does not find although they
	// are there: of several sockets that share an address and port it finds but one.
	shadowed map[uint64]struct{}
}

func newListeners() *listeners {
	return &listeners{reported: map[uint64]Socket{}, found: map[uint64]struct{}{}, shadowed: map[uint64]struct{}{}}
}

// at are the reported sockets that take connections of a relevant address; those of others, such as
// the stack's own on XCF, need no quick notice of their end.
func (l *listeners) at(relevant relevance) []Socket {
	var some []Socket
	for _, s := range l.reported {
		if relevant.takes(s) {
			some = append(some, s)
		}
	}
	return some
}

// anyAt says whether there are such sockets.
func (l *listeners) anyAt(relevant relevance) bool {
	for _, s := range l.reported {
		if relevant.takes(s) {
			return true
		}
	}
	return false
}

// takes says whether a listening socket takes connections of a relevant address.
func (relevant relevance) takes(s Socket) bool {
	a := s.Local.Addr()
	return a.IsUnspecified() || relevant(a)
}

// undecided: the next look decides about one that this look found.
func (l *listeners) undecided() bool { return len(l.found) > 0 }

// start reports whether the socket is new.
func (l *listeners) start(s Socket) bool {
	if _, known := l.reported[s.Cookie]; known {
		return false
	}
	delete(l.found, s.Cookie)
	l.reported[s.Cookie] = s
	return true
}

// end reports whether the socket was reported.
func (l *listeners) end(cookie uint64) bool {
	_, known := l.reported[cookie]
	l.forget(cookie)
	return known
}

func (l *listeners) forget(cookie uint64) {
	delete(l.reported, cookie)
	delete(l.shadowed, cookie)
}

// lookedUp notes whether a look-up by address found a reported socket. It is to be met by a
// look at all if it was found before and now is not.
func (l *listeners) lookedUp(cookie uint64, found bool) (suspect bool) {
	_, shadowed := l.shadowed[cookie]
	if found {
		delete(l.shadowed, cookie)
	} else {
		l.shadowed[cookie] = struct{}{}
	}
	return !found && !shadowed
}

func (l *listeners) anyMissing(there map[uint64]Socket) bool {
	for cookie := range l.reported {
		if _, still := there[cookie]; !still {
			return true
		}
	}
	return false
}

// compare takes in what a look found: what has to be reported now, in the order of cookies.
func (l *listeners) compare(there map[uint64]Socket) (started []Socket, ended []uint64) {
	for cookie := range l.reported {
		if _, still := there[cookie]; !still {
			l.forget(cookie)
			ended = append(ended, cookie)
		}
	}
	found := map[uint64]struct{}{}
	for cookie, s := range there {
		if _, known := l.reported[cookie]; known {
			continue
		}
		if _, again := l.found[cookie]; again {
			l.reported[cookie] = s
			started = append(started, s)
		} else {
			found[cookie] = struct{}{}
		}
	}
	l.found = found
	slices.Sort(ended)
	slices.SortFunc(started, func(a, b Socket) int { return cmp.Compare(a.Cookie, b.Cookie) })
	return started, ended
}
