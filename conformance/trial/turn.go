package trial

import (
	"os"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// takeTurn keeps a spec that is Serial from all others of the run until it has ended. Ginkgo does that within a suite;
// suites that run side by side share a lock of the directory of results, and such a spec waits until it has it alone. It has to
// be called before a spec does anything.
func takeTurn() {
	ginkgo.GinkgoHelper()
	verdict.Engine(os.MkdirAll(resultsPath(), 0o755), "make the directory of results")
	directory, err := os.Open(resultsPath())
	verdict.Engine(err, "open the directory of results")
	how := unix.LOCK_SH
	if ginkgo.CurrentSpecReport().IsSerial {
		how = unix.LOCK_EX
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(directory.Fd()), how)
	}
	verdict.Engine(os.NewSyscallError("flock", err), "wait for a turn")
	ginkgo.DeferCleanup(directory.Close)
}
