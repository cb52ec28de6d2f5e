package verdict

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/peer"
)

func TestAssertionsTellExpectedAndActual(t *testing.T) {
	key := format.RegisterCustomFormatter(Format)
	t.Cleanup(func() { format.UnregisterCustomFormatter(key) })
	notSeen := &capture.NotSeenError{Wanted: capture.Where("a SYN", nil), Cause: context.DeadlineExceeded, Recorded: make([]capture.Packet, 2)}
	unexpected := &capture.UnexpectedError{Unwanted: capture.Where("an answer", nil), Recorded: make([]capture.Packet, 2)}
	notTold := &peer.NotToldError{Peer: "peer MVS2", Wanted: "SRVSTAT", Came: "\n  1.0ms VIPA_LIST\n  and 2 HELLOs", Cause: context.DeadlineExceeded}
	told := &peer.UnexpectedError{Peer: "peer MVS2", Unwanted: "SRVSTAT", Entry: peer.Entry{What: peer.Joined}}
	plain := errors.New("write file:\n    no space")
	long := strings.Repeat("125-no->130 ", 5)
	for _, test := range []struct {
		name             string
		assert           func(g gomega.Gomega)
		expected, actual string
	}{
		{"equal", func(g gomega.Gomega) { g.Expect("MVS2").To(gomega.Equal("MVS3"), "who takes it") }, "MVS3", "MVS2"},
		{"equal but for the type", func(g gomega.Gomega) { g.Expect(1).To(gomega.Equal(uint16(1))) }, "<uint16>: 1", "<int>: 1"},
		{"long texts", func(g gomega.Gomega) { g.Expect(long + "end").To(gomega.Equal(long + "132")) }, `"...>130 132"`, `"...>130 end"`},
		{"a relation", func(g gomega.Gomega) { g.Expect(1).To(gomega.BeNumerically(">=", 5)) }, "to be >= 5", "1"},
		{"a property", func(g gomega.Gomega) { g.Expect([]int{7}).To(gomega.BeEmpty()) }, "to be empty", "[7]"},
		{
			"elements", func(g gomega.Gomega) { g.Expect([]string(nil)).To(gomega.ConsistOf("a")) },
			"to consist of [\"a\"]", "nil",
		},
		{"many lines", func(g gomega.Gomega) { g.Expect("a\nb").To(gomega.ContainSubstring("c\nd")) }, "to contain substring c\nd", "a\nb"},
		{"another error", func(g gomega.Gomega) { g.Expect(syscall.EINVAL).To(gomega.Equal(syscall.EAGAIN)) }, syscall.EAGAIN.Error(), syscall.EINVAL.Error()},
		{"an error", func(g gomega.Gomega) { g.Expect(plain).NotTo(gomega.HaveOccurred(), "keep it") }, "no error", plain.Error()},
		{"no success", func(g gomega.Gomega) { g.Expect(plain).To(gomega.Succeed()) }, "no error", plain.Error()},
		{"no error", func(g gomega.Gomega) { g.Expect(error(nil)).To(gomega.HaveOccurred()) }, "an error", "none"},
		{
			"not seen", func(g gomega.Gomega) { g.Expect(notSeen).NotTo(gomega.HaveOccurred()) },
			"on any interface: a SYN", "not seen: context deadline exceeded; " + capture.Listing(notSeen.Recorded),
		},
		{
			"not seen, within another error", func(g gomega.Gomega) { g.Expect(fmt.Errorf("try: %w", notSeen)).To(gomega.Succeed()) },
			"on any interface: a SYN", "not seen: context deadline exceeded; " + capture.Listing(notSeen.Recorded),
		},
		{
			"unexpected", func(g gomega.Gomega) { g.Expect(unexpected).NotTo(gomega.HaveOccurred()) },
			"none on any interface: an answer", unexpected.Packet.String(),
		},
		{
			"not told", func(g gomega.Gomega) { g.Expect(notTold).NotTo(gomega.HaveOccurred()) },
			"peer MVS2 is told SRVSTAT", "1.0ms VIPA_LIST\n  and 2 HELLOs",
		},
		{
			"told", func(g gomega.Gomega) { g.Expect(told).NotTo(gomega.HaveOccurred()) },
			"peer MVS2 is told no SRVSTAT", told.Entry.String(),
		},
		{"another form", func(g gomega.Gomega) { g.Expect(func() {}).To(gomega.Panic()) }, "to panic", ""},
	} {
		message := ""
		test.assert(gomega.NewGomega(func(text string, _ ...int) { message = text }))
		expected, actual := explain(message)
		if test.name == "another form" { // its object has an address
			actual = ""
		}
		if diff := cmp.Diff([]string{test.expected, test.actual}, []string{expected, actual}); diff != "" {
			t.Errorf("%s: -want +got:\n%s\nfrom:\n%s", test.name, diff, message)
		}
	}
	if expected, actual := explain("the stack is gone"); expected+actual != "" {
		t.Errorf("of words: expected %q, actual %q", expected, actual)
	}
}

func TestAnAccountHasTheComparisonOnce(t *testing.T) {
	for _, test := range []struct {
		declared Declaration
		want     string
	}{
		{Declaration{Reason: "no"}, "no"},
		{Declaration{Reason: "expected a\nactual   b", Expected: "a", Actual: "b"}, "expected a\nactual   b"},
		{Declaration{Reason: "no", Expected: "a", Actual: "b"}, "expected a\nactual   b\n\nno"},
		{Declaration{Expected: "a", Actual: "b"}, "expected a\nactual   b"},
	} {
		if got := test.declared.Account(); got != test.want {
			t.Errorf("want %q, got %q", test.want, got)
		}
	}
}
