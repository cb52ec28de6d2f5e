package trial

import (
	"os"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// takeTurn keeps a spec that is Serial from all others of the run until it has ended. Ginkgo does that within a suite;
// suites that run side by side share a lock of the directory of results, which such a spec has alone. Meanwhile and while it waits,
// no other goes in at the door, which is the directory of evidence. It has to be called before a spec does anything.
func takeTurn() {
	ginkgo.GinkgoHelper()
	how := unix.LOCK_SH
	if ginkgo.CurrentSpecReport().IsSerial {
		how = unix.LOCK_EX
	}
	door := lockDirectory(evidencePath(), unix.LOCK_EX)
	defer door.Close()
	ginkgo.DeferCleanup(lockDirectory(resultsPath(), how).Close)
}

// lockDirectory waits for a lock (flock(2)) of a directory, which is made if it is not there. The lock ends with the file, or the process.
func lockDirectory(path string, how int) *os.File {
	ginkgo.GinkgoHelper()
	verdict.Engine(os.MkdirAll(path, 0o755), "make the directory %s", path)
	directory, err := os.Open(path)
	verdict.Engine(err, "wait for a turn")
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(directory.Fd()), how)
	}
	verdict.Engine(os.NewSyscallError("flock", err), "wait for a turn at %s", path)
	return directory
}
