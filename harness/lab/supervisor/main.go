// Command supervisor is the process that a laboratory is, as `plexlab supervise` is. There is one for each laboratory, and
// suites build hundreds: it has nothing in it that is slow to start and that a laboratory has no use for.
package main

import (
	"os"
	"runtime"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/systempath"
)

func main() {
	systempath.Add()
	runtime.GOMAXPROCS(1) // it waits for the kernel; the processors are for the laboratory
	os.Exit(lab.Supervise())
}
