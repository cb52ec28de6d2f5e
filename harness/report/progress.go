package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Progress is a line of the file by which whoever started a run sees how far it is: one spec that has
// ended. It is for people; nothing is decided by it.
type Progress struct {
	Suite   string          `json:"suite"`
	Spec    string          `json:"spec"`
	Verdict verdict.Verdict `json:"verdict"`
}

// AddProgress appends a line to the file at path. Lines of processes that run side by side do not
// mingle.
func AddProgress(path string, p Progress) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("tell progress: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("tell progress: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("tell progress: %w", err)
	}
	return nil
}
