// Package portfile reads and writes the port file of a plex as the conformance suites do: by the
// contract alone, beside the stacks and independent of any implementation. It looks at entries,
// audits them, takes ports as a stack that there is not, keeps locks as a frozen process would,
// leaves what a killed one would, and does damage.
//
// It uses pread and pwrite: the file may be truncated under its hands.
package portfile

import "time"

// Patience is how long a lock is tried for before that is an error.
const Patience = 5 * time.Second
