package portfile

// A Store is one store of 8 bytes, at an offset of an entry that is a multiple of 8.
type Store struct {
	Offset int
	Value  uint64
}

// Apply does it, for whoever has no need for more: whoever maps the file with the eyes of others on
// it stores atomically.
func (s Store) Apply(entry []byte) { le.PutUint64(entry[s.Offset:], s.Value) }

// An Update is the stores of one change of an entry, in the order in which they have to be made,
// under its lock: first the intent, last that there is none. Whoever is killed in between leaves
// an intent, and the next one to get the lock applies Redo before anything else. Making the
// stores once or again leads to the same.
type Update struct {
	stores [7]Store
	n      int
}

// Stores are the stores in order.
func (u *Update) Stores() []Store { return u.stores[:u.n] }

func (u *Update) add(offset int, value uint64) {
	u.stores[u.n] = Store{offset, value}
	u.n++
}

// set and unset add the store that makes one bit of a bitmap 1 or 0.
func (u *Update) set(entry []byte, bitmap int, port uint16) {
	offset, mask := bit(bitmap, port)
	u.add(offset, le.Uint64(entry[offset:])|mask)
}

func (u *Update) unset(entry []byte, bitmap int, port uint16) {
	offset, mask := bit(bitmap, port)
	u.add(offset, le.Uint64(entry[offset:])&^mask)
}

// rest adds the store of a rest time, with that of the neighbour port in the same word.
func (u *Update) rest(entry []byte, port uint16, rest Rest) {
	offset := restOffset(port) &^ 7
	shift := 32 * (port % 2)
	u.add(offset, le.Uint64(entry[offset:])&^(0xffffffff<<shift)|uint64(rest)<<shift)
}

// Take makes a port one of a slot's, whether or not it is already, and unique if that is asked:
// what it is already it stays. The slot must be Prepared.
func Take(entry []byte, port uint16, slot int, unique bool) Update {
	return update(entry, NewTake(port, slot, unique))
}

// Free takes a port from a slot; if no other uses it, it becomes available, and rests until the
// time given. The slot must be Prepared.
func Free(entry []byte, port uint16, slot int, rest Rest) Update {
	return update(entry, NewFree(port, slot, rest))
}

// Redo completes the update that an interrupted one left in the entry; no stores if none is
// left. It fails with a *FormatError if what stands there is no intent.
func Redo(entry []byte) (Update, error) {
	intent := Intent(le.Uint64(entry[IntentOffset:]))
	if intent == 0 {
		return Update{}, nil
	}
	if err := intent.check(); err != nil {
		return Update{}, err
	}
	if !Prepared(entry, intent.Slot()) {
		return Update{}, malformed("entry", "intent to %s, which has no usage bitmap", intent)
	}
	return update(entry, intent), nil
}

func update(entry []byte, intent Intent) Update {
	port, slot := intent.Port(), intent.Slot()
	var u Update
	u.add(IntentOffset, uint64(intent))
	switch intent.Op() {
	case OpTake:
		u.set(entry, usageOffset(slot), port)
		if intent.Unique() {
			u.set(entry, UniqueOffset, port)
		}
		u.unset(entry, AvailableOffset, port)
		if RestOf(entry, port) != 0 {
			u.rest(entry, port, 0)
		}
	case OpFree:
		u.unset(entry, usageOffset(slot), port)
		if !HeldByOther(entry, port, slot) {
			u.unset(entry, UniqueOffset, port)
			if intent.Rest() != 0 {
				u.rest(entry, port, intent.Rest())
			}
			u.set(entry, AvailableOffset, port)
		}
	}
	u.add(UpdatesOffset, le.Uint64(entry[UpdatesOffset:])+1)
	u.add(IntentOffset, 0)
	return u
}
