package trial

import (
	"os"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// takeTurn keeps a spec from beginning while one that is Serial runs. Ginkgo does that within a suite, and has no other run
// beside it; of suites that run side by side, what has begun goes on, which takes far less of a machine than a
// laboratory that is built. Both go in at a door, which is the directory of evidence, and a spec that is Serial closes it behind
// it. It has to be called before a spec does anything.
func takeTurn() {
	ginkgo.GinkgoHelper()
	door := lockDirectory(evidencePath())
	if ginkgo.CurrentSpecReport().IsSerial {
		ginkgo.DeferCleanup(door.Close)
		return
	}
	verdict.Engine(door.Close(), "go in")
}

// lockDirectory waits for the lock (flock(2)) of a directory, which is made if it is not there. The lock ends with the file, or the process.
func lockDirectory(path string) *os.File {
	ginkgo.GinkgoHelper()
	verdict.Engine(os.MkdirAll(path, 0o755), "make the directory %s", path)
	directory, err := os.Open(path)
	verdict.Engine(err, "wait for a turn")
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(directory.Fd()), unix.LOCK_EX)
	}
	verdict.Engine(os.NewSyscallError("flock", err), "wait for a turn at %s", path)
	return directory
}
