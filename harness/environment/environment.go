// Package environment is about what programs that others have written are told by their environment.
package environment

import (
	"os"
	"slices"
	"strings"
)

// ours begins the names of the variables that the kit's own programs take settings from.
const ours = "PLEXLAB"

// Clean is the environment of this process without the variables of the kit, PLEXLAB itself and all that
// begin PLEXLAB_: what a person has set for one program of it is not for the next one, and least of all
// for an implementation under test, which would learn where its verdicts are written.
func Clean() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == ours || strings.HasPrefix(name, ours+"_")
	})
}
