package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file. Line and Column count from 1, Column in characters; the zero
// Position is no place at all.
type Position struct {
	File         string
	Line, Column int
}

// String is "file:line:column", as editors understand it; the file alone where Line is 0.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one thing wrong at one place.
type Error struct {
	Pos Position
	// Message says what was found and what was expected.
	Message string
	// Err is errors.ErrUnsupported where the text is right but not acted upon, otherwise nil.
	Err error
}

// Error is "file:line:column: message".
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Message }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all the errors of one text in the order of their places; as an error, one a line.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each of the errors visible to errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// maxErrors bounds what one text can make us say: a person mends the first few and tries again.
const maxErrors = 50

// Add appends an error as long as there are fewer than 50.
func (e *Errors) Add(pos Position, format string, args ...any) {
	if len(*e) < maxErrors {
		*e = append(*e, &Error{Pos: pos, Message: fmt.Sprintf(format, args...)})
	}
}

// Err returns the errors in the order of their places, nil if there are none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int { return comparePositions(a.Pos, b.Pos) })
	return e
}

// comparePositions orders places by file, line and column.
func comparePositions(a, b Position) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}
