package verdict

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Explained is an error that tells what was expected and what came instead.
type Explained interface {
	error
	Mismatch() (expected, actual string)
}

// Format is how Gomega is to write an error behind its text (format.CustomFormatter): one that is Explained
// in the form of a mismatch, which Of reads again. Others say what a person needs in their text; their
// insides, whole captures among them, do not.
func Format(value any) (string, bool) {
	err, ok := value.(error)
	if !ok {
		return "", false
	}
	if explained, ok := errors.AsType[Explained](err); ok {
		return mismatch(explained.Mismatch()), true
	}
	return err.Error(), true
}

// mismatch is the form in which a failure tells expected and actual.
func mismatch(expected, actual string) string {
	return fmt.Sprintf("expected %s\nactual   %s", expected, actual)
}

// What Gomega says of an assertion that fails: objects are indented, everything else is not.
var (
	failedError = regexp.MustCompile(`(?m)^(?:Unexpected error|Expected success, but got an error):\n((?: {4}.*(?:\n|\z))+)`)
	noError     = regexp.MustCompile(`(?m)^Expected an error to have occurred\.`)
	assertion   = regexp.MustCompile(`(?m)^Expected\n((?: {4}.*\n)+)(\S.*)(?:\n((?: {4}.*(?:\n|\z))+))?`)

	explainedError = regexp.MustCompile(`(?ms)^expected (.*?)\n {4}actual   (.*)\z`)
	objectType     = regexp.MustCompile(`^<[^\n]*?>: ?`)
)

// explain finds in the message of an assertion what was expected and what came instead; both are empty where
// it has another form.
func explain(message string) (expected, actual string) {
	if found := failedError.FindStringSubmatch(message); found != nil {
		text := untyped(outdent(found[1]))
		if pair := explainedError.FindStringSubmatch(text); pair != nil {
			return pair[1], outdent(pair[2])
		}
		return "no error", text
	}
	if noError.MatchString(message) {
		return "an error", "none"
	}
	found := assertion.FindStringSubmatch(message)
	if found == nil {
		return "", ""
	}
	// A bar points at the first difference of long texts.
	relation := strings.TrimRight(found[2], " |")
	actual, expected = outdent(found[1]), outdent(found[3])
	if a, e := untyped(actual), untyped(expected); a != e {
		actual, expected = a, e
	}
	if relation != "to equal" {
		expected = strings.TrimSpace(relation + " " + expected)
	}
	return expected, actual
}

// untyped is an object without its type, and an error, which Gomega says below its type and then once more, once.
func untyped(object string) string {
	text, below := strings.CutPrefix(objectType.ReplaceAllString(object, ""), "\n")
	if !below {
		return text
	}
	lines := strings.Split(text, "\n")
	first, second := strings.Join(lines[:len(lines)/2], "\n"), strings.Join(lines[len(lines)/2:], "\n")
	if outdent(second) == first {
		return first
	}
	return text
}

// outdent takes one level of Gomega's indentation off a text.
func outdent(text string) string {
	return strings.TrimRight(strings.ReplaceAll(strings.TrimPrefix(text, "    "), "\n    ", "\n"), "\n")
}
