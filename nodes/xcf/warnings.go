package xcf

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// warnings logs what partners and strangers do wrong: one line for the same thing of the same
// source in logEvery, with the number of those left out. Reasons that differ in numbers
// alone (a sequence, a length) are the same thing.
type warnings struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	seen map[warning]*told
}

type warning struct {
	what, reason string
	from         netip.Addr
}

type told struct {
	at      time.Time
	leftOut int
}

// warningsKept bounds the memory; sources may be forged.
const warningsKept = 1024

func newWarnings(log *slog.Logger) *warnings {
	return &warnings{log: log, now: time.Now, seen: make(map[warning]*told)}
}

func (w *warnings) add(what string, from netip.Addr, reason any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	key := warning{what: what, reason: strings.Map(withoutDigits, fmt.Sprint(reason)), from: from}
	before := w.seen[key]
	if before != nil && now.Sub(before.at) < logEvery {
		before.leftOut++
		return
	}
	if before == nil && len(w.seen) >= warningsKept {
		w.forget(now)
		if len(w.seen) >= warningsKept {
			return
		}
	}
	attributes := []any{"from", from, "reason", reason}
	if before != nil && before.leftOut > 0 {
		attributes = append(attributes, "left_out", before.leftOut)
	}
	w.seen[key] = &told{at: now}
	w.log.Warn(what, attributes...)
}

func withoutDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}

// forget drops what would be logged again anyway.
func (w *warnings) forget(now time.Time) {
	for key, t := range w.seen {
		if now.Sub(t.at) >= logEvery {
			delete(w.seen, key)
		}
	}
}
