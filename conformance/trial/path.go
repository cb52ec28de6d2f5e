package trial

import (
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// NeedsTraces skips a spec whose requirements nothing but the implementation's own account
// shows, where it gives none.
func (t *Trial) NeedsTraces() {
	ginkgo.GinkgoHelper()
	ginkgo.AddReportEntry(report.NeedsEntry, "traces", ginkgo.ReportEntryVisibilityNever)
	if !t.Implementation.Traces {
		ginkgo.Skip("the implementation offers no traces, and nothing else shows this")
	}
}

// ExpectPath does something and expects that the stack under test, by its own account, passed
// exactly these edges of a figure because of it, in this order. Edges are named without their
// figure, separated by blanks: "120->122 122-yes->124". An implementation without traces does it
// all the same and is not asked.
func (u *UnitTrial) ExpectPath(figure, want string, what func()) {
	ginkgo.GinkgoHelper()
	u.expectPath(figure, strings.Fields(want), false, what)
}

// ExpectEdges is ExpectPath where the figure leaves the order of some edges open.
func (u *UnitTrial) ExpectEdges(figure, want string, what func()) {
	ginkgo.GinkgoHelper()
	u.expectPath(figure, strings.Fields(want), true, what)
}

func (u *UnitTrial) expectPath(figure string, want []string, anyOrder bool, what func()) {
	ginkgo.GinkgoHelper()
	if anyOrder {
		slices.Sort(want)
	}
	if !u.Implementation.Traces {
		what()
		return
	}
	client := u.Lab.Control(u.Stack)
	defer client.Close()
	before, err := client.Trace(u.Soon(), 0)
	verdict.Engine(err, "ask %s for its trace", u.Stack)
	what()
	gomega.Eventually(func() (string, error) {
		now, err := client.Trace(u.Soon(), before.Next)
		var passed []string
		for _, step := range now.Steps {
			for _, edge := range step.Edges {
				if name, ok := strings.CutPrefix(edge, figure+"/"); ok {
					passed = append(passed, name)
				}
			}
		}
		if anyOrder {
			slices.Sort(passed)
		}
		return strings.Join(passed, " "), err
	}).Should(gomega.Equal(strings.Join(want, " ")), "edges of %s that %s passed", figure, u.Stack)
}
