package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// refusalMark is the variable of the environment by which the processes of a lab that did not
// come to be are known: they inherit it.
const refusalMark = "PLEXLAB_REFUSED"

// Refused starts a unit-level lab whose stack under test has to refuse its profile, and returns
// the error of the lab, which holds the end of the stack's log. It expects that nothing of the
// lab is left: neither its name nor any process.
func Refused(c UnitConfig) error {
	ginkgo.GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t := &Trial{Plan: unitPlan(IPv4, max(c.Self, 1), c), Implementation: inVariant(implementation(), c.Variant), ctx: ctx}
	mark := fmt.Sprintf("%d.%d", os.Getpid(), time.Now().UnixNano())
	verdict.Engine(os.Setenv(refusalMark, mark), "mark the processes of a lab")
	err := t.up()
	verdict.Engine(os.Unsetenv(refusalMark), "mark no process any more")
	if err == nil {
		verdict.Engine(t.Lab.Down(ctx), "take down a lab that should not have come to be")
		verdict.Mismatch("the stack refuses its profile", "it started with it")
	}
	if refused := new(lab.RefusedError); errors.As(err, &refused) {
		verdict.Engine(err, "build the lab of the spec")
	}
	gomega.Eventually(func() []string { return left(refusalMark + "=" + mark) }).
		Should(gomega.BeEmpty(), "processes of a lab whose stack refused its profile")
	labs, listing := lab.List()
	verdict.Engine(listing, "list the labs")
	gomega.Expect(labs).NotTo(gomega.ContainElement(gomega.HaveField("Name", t.name)))
	return err
}

// left lists the processes that have a variable in their environment.
func left(variable string) []string {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	verdict.Engine(err, "list processes")
	var found []string
	for _, path := range all {
		// Those of other users cannot be read, and are not of this lab.
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(variable+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return found
}
