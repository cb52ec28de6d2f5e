package trial

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// AskPorts is the time between two questions what a stack says of cluster-wide ports. For each answer it looks at all of
// its sockets, and at the port file itself each 120 ms.
const AskPorts = 40 * time.Millisecond

// EventuallyPorts waits until a stack says of cluster-wide ports that they are "ok", "filling" or
// "degraded", and returns what it says.
func (t *Trial) EventuallyPorts(stack, state string) control.Ports {
	ginkgo.GinkgoHelper()
	client := t.Lab.Control(stack)
	defer client.Close()
	var told control.Ports
	gomega.Eventually(func() (string, error) {
		var err error
		told, err = client.Ports(t.ctx, 0)
		return told.State, err
	}).WithPolling(AskPorts).Should(gomega.Equal(state), "ports as %s tells", stack)
	return told
}

// Ports is what a stack says of cluster-wide ports now.
func (t *Trial) Ports(stack string) control.Ports {
	ginkgo.GinkgoHelper()
	client := t.Lab.Control(stack)
	defer client.Close()
	told, err := client.Ports(t.ctx, 0)
	verdict.Engine(err, "ask %s for its ports", stack)
	return told
}

// EventuallyLogged waits until the log of a stack has a text.
func (t *Trial) EventuallyLogged(stack, text string) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (string, error) {
		log, err := t.log(t.ctx, stack, "")
		return string(log), err
	}).Should(gomega.ContainSubstring(text), "%q in the log of %s", text, stack)
}

// Obey has the stack under test obey statements (VARY OBEY), with the symbols and MASK of profiles; a
// dry run changes nothing. What it answers to a text that is wrong is an error.
func (u *UnitTrial) Obey(text string, dryRun bool, others ...control.InUse) (control.ObeyAnswer, error) {
	ginkgo.GinkgoHelper()
	names := map[string]netip.Addr{}
	for name, address := range u.family.symbols() {
		names[name] = netip.MustParseAddr(address)
	}
	client := u.Lab.Control(u.Stack)
	defer client.Close()
	limit, cancel := context.WithTimeout(u.ctx, Limit())
	defer cancel()
	return client.Obey(limit, control.ObeyRequest{
		File: "obey.profile", Text: u.family.masked(text), Symbols: names, DryRun: dryRun, InUse: others,
	})
}

// Obeys is Obey of statements that have to come into force.
func (u *UnitTrial) Obeys(text string) control.ObeyAnswer {
	ginkgo.GinkgoHelper()
	answer, err := u.Obey(text, false)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	gomega.Expect(answer.Applied).To(gomega.BeTrue(), "the statements are in force")
	return answer
}

// logRoom is the room that a full disk leaves for logs, less than a port file or an entry takes.
const logRoom = 32 << 10

// FillDisk leaves the file system of the port file no room for another one, nor for one more entry,
// and returns what gives it back.
func (t *Trial) FillDisk(stack string) (drain func()) {
	ginkgo.GinkgoHelper()
	directory := filepath.Dir(t.Lab.PortFile())
	resize := func(size uint64) {
		ginkgo.GinkgoHelper()
		_, err := t.output(t.Soon(), stack, []string{
			// Not with the options that it has: without root, its owner is one that cannot be set.
			"mount", "--options-source", "disable", "-o", fmt.Sprintf("remount,nosuid,nodev,size=%d", size), strings.TrimPrefix(directory, t.Lab.RootPath()),
		})
		verdict.Engine(err, "set the size of %s", directory)
	}
	var room unix.Statfs_t
	verdict.Engine(unix.Statfs(directory, &room), "ask for the size of %s", directory)
	resize((room.Blocks-room.Bfree)*uint64(room.Bsize) + logRoom)
	return func() {
		ginkgo.GinkgoHelper()
		resize(room.Blocks * uint64(room.Bsize))
	}
}
