package trial

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// varyPatience is how many times as long as another thing an operator's command may take: a stack that leaves its
// group waits for its partners.
const varyPatience = 10

// Vary gives a stack an operator's command, which has to succeed.
func (t *Trial) Vary(stack string, command control.VaryCommand, target control.VaryTarget) {
	ginkgo.GinkgoHelper()
	gomega.Expect(t.vary(stack, command, target)).To(gomega.Succeed(), "%s of %s at %s", command, target, stack)
}

// VaryRefused gives a stack an operator's command that it cannot carry out as things are, and expects that it says so and names
// what there is.
func (t *Trial) VaryRefused(stack string, command control.VaryCommand, target control.VaryTarget, names string) {
	ginkgo.GinkgoHelper()
	err := t.vary(stack, command, target)
	var refused *control.StatusError
	gomega.Expect(errors.As(err, &refused)).To(gomega.BeTrue(), "%s of %s at %s: %v", command, target, stack, err)
	gomega.Expect(refused.Status).To(gomega.Equal(http.StatusConflict), refused.Error())
	gomega.Expect(refused.Problem).To(gomega.ContainSubstring(names), "what there is")
}

func (t *Trial) vary(stack string, command control.VaryCommand, target control.VaryTarget) error {
	client := t.Lab.Control(stack)
	defer client.Close()
	limit, cancel := context.WithTimeout(t.ctx, varyPatience*Limit())
	defer cancel()
	_, err := client.Vary(limit, control.VaryRequest{Command: command, Target: target})
	return err
}

// EventuallyTellsOwner waits until a stack tells that another one, or itself, is the owner of a DVIPA.
func (t *Trial) EventuallyTellsOwner(stack string, dvipa netip.Addr, owner string) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (string, error) {
		told, err := t.tells(stack, dvipa)
		return told.Owner, err
	}).Should(gomega.Equal(owner), "owner of %s as %s tells", dvipa, stack)
}

// Tells is what a stack tells of a DVIPA; the zero value if nothing.
func (t *Trial) Tells(stack string, dvipa netip.Addr) control.DynamicVIPA {
	ginkgo.GinkgoHelper()
	told, err := t.tells(stack, dvipa)
	verdict.Engine(err, "ask %s for its DVIPAs", stack)
	return told
}

func (t *Trial) tells(stack string, dvipa netip.Addr) (control.DynamicVIPA, error) {
	client := t.Lab.Control(stack)
	defer client.Close()
	told, err := client.VIPADYN(t.ctx)
	for _, d := range told.DVIPAs {
		if d.DVIPA == dvipa {
			return d, err
		}
	}
	return control.DynamicVIPA{}, err
}
