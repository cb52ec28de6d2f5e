package mutant

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
)

// ErrNotOnce is an edit whose text does not stand in its file exactly once: the reference has changed,
// and the mutant has to be changed with it.
type ErrNotOnce struct {
	ID, File string
	// Lines are those at which the text begins, from 1; empty where it stands nowhere.
	Lines []int
}

func (e *ErrNotOnce) Error() string {
	if len(e.Lines) == 0 {
		return fmt.Sprintf("mutant %s: %s: the text to find is not there; make its edit fit the source again", e.ID, e.File)
	}
	return fmt.Sprintf("mutant %s: %s: the text to find stands at lines %d; take more of what is around it", e.ID, e.File, e.Lines)
}

// Edited is the source of the mutant: its file in the tree with the edit. The error is an ErrNotOnce
// where the edit does not apply.
func (m Mutant) Edited(tree fs.FS) ([]byte, error) {
	text, err := fs.ReadFile(tree, m.File)
	if err != nil {
		return nil, fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	find := []byte(m.Find)
	if bytes.Count(text, find) != 1 {
		return nil, &ErrNotOnce{m.ID, m.File, linesOf(text, find)}
	}
	return bytes.Replace(text, find, []byte(m.Replace), 1), nil
}

// Applies is nil where every edit applies to the tree; else it names each that does not.
func Applies(tree fs.FS, mutants []Mutant) error {
	var wrong []error
	for _, m := range mutants {
		_, err := m.Edited(tree)
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

func linesOf(text, find []byte) []int {
	var lines []int
	for at := 0; ; {
		next := bytes.Index(text[at:], find)
		if next < 0 {
			return lines
		}
		lines = append(lines, 1+bytes.Count(text[:at+next], []byte("\n")))
		at += next + len(find)
	}
}
