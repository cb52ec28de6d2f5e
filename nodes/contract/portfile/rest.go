package portfile

import "time"

// Rest is the time until which a freed port is not given out for port 0: hundredths of a second
// of CLOCK_BOOTTIME modulo 2^32. Zero says that it does not rest.
type Rest uint32

// restUnit is a hundredth of a second.
const restUnit = 10 * time.Millisecond

// MaxRest is the longest rest. A time that lies further ahead is the remains of another boot,
// and over.
const MaxRest = time.Hour

// RestUntil is the time a rest ends that begins now and is at least so long, at most MaxRest;
// now is CLOCK_BOOTTIME. A rest of no length is none.
func RestUntil(now, length time.Duration) Rest {
	if length <= 0 {
		return 0
	}
	// Rounded up, once more because the unit of now has begun already.
	until := Rest((now + min(length, MaxRest) + restUnit - 1) / restUnit)
	if until == 0 { // which would say that there is no rest
		until = 1
	}
	return until
}

// Left is how long the rest still lasts, 0 if it is over; now is CLOCK_BOOTTIME.
func (r Rest) Left(now time.Duration) time.Duration {
	if r == 0 {
		return 0
	}
	// In units modulo 2^32, as r is.
	left := time.Duration(uint32(r)-uint32(now/restUnit)) * restUnit
	if left > MaxRest+restUnit {
		return 0
	}
	return left
}

// RestOf is the rest time of a port in an entry.
func RestOf(entry []byte, port uint16) Rest { return Rest(le.Uint32(entry[restOffset(port):])) }

func restOffset(port uint16) int { return RestOffset + 4*int(port) }

// withRest are the ports of word w of a bitmap that have a rest time, over or not.
func withRest(entry []byte, w int) (ports uint64) {
	table := entry[RestOffset+4*64*w:][:4*64]
	for i := 0; i < 64; i += 2 {
		switch pair := le.Uint64(table[4*i:]); {
		case pair == 0:
		case pair>>32 == 0:
			ports |= 1 << i
		case pair<<32 == 0:
			ports |= 2 << i
		default:
			ports |= 3 << i
		}
	}
	return ports
}
