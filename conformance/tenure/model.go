// Package tenure judges whether cluster-wide ports have one owner at a time, by what concurrent
// programs saw of them: a history is right if all that was done to each port can be put in one order,
// each deed at one moment between its beginning and its end, in which no port has two owners (T32, I30)
// and none is refused that nobody has.
package tenure

import "github.com/anishathalye/porcupine"

// A Program is one process that binds and closes.
type Program struct {
	Stack  string
	Number int // names it in what people read
}

// A deed is one thing that happened to one port.
type deed struct {
	kind   kind
	by     Program
	port   uint16
	socket int   // that was bound or closed
	began  int64 // of a refusal
	until  int64 // when the stack has given the port back that it may have after this, at the latest
}

type kind string

const (
	bound    kind = "bound"
	refused  kind = "refused"
	closed   kind = "closed"
	gaveUp   kind = "given up by its stack"
	killedIn kind = "killed in bind"
)

// A state is who has a port. The zero value: nobody.
type state struct {
	// stack has the port in the coupling facility, or has had it last.
	stack string
	// socket is the one at the port; 0: none that a program has.
	socket int
	// until is when a stack without a socket has given the port back, at the latest.
	until int64
	// dying: until then the kernel may have a socket still that no program has.
	dying bool
}

// model is what cluster-wide ports promise to programs that ask for a unique port by number (I15), or
// have got it for port 0:
//
//   - A bind succeeds if no program has a socket at the port.
//   - It is refused if one has; or if another stack had the last socket, and has not given the port back
//     yet. That happens at some time after the end of the socket (I18). A stack that has not given the
//     port back still holds it, so its own programs are never refused then.
//
// When a port is given back cannot be seen. That it was is not a deed of its own, then, but decided by
// what follows: a bind elsewhere that succeeds shows that it was, one that is refused that it was not yet,
// which is wrong if it began after the time that giving back may take. This permits just what a deed
// "given back" between the end of the socket and that time would, without the search for its place.
var model = porcupine.NondeterministicModel{
	Init: func() []any { return []any{state{}} },
	Step: func(was, input, _ any) []any {
		now, d := was.(state), input.(deed)
		switch d.kind {
		case bound:
			if now.socket == 0 {
				return []any{state{stack: d.by.Stack, socket: d.socket}}
			}
		case refused:
			late := d.began > now.until
			if now.socket != 0 || !late && (now.stack != d.by.Stack || now.dying) {
				return []any{now}
			}
		case closed:
			if now.socket == d.socket {
				return []any{state{stack: d.by.Stack, until: d.until}}
			}
		case gaveUp, killedIn:
			if now.socket == 0 {
				return []any{now, state{stack: d.by.Stack, until: d.until, dying: d.kind == killedIn}}
			}
			return []any{now}
		}
		return nil
	},
}
