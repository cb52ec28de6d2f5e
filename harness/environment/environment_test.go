package environment

import (
	"slices"
	"testing"
)

func TestCleanHasNothingOfTheKit(t *testing.T) {
	for name, stays := range map[string]bool{
		"PLEXLAB": false, "PLEXLAB_LIMIT": false, "PLEXLAB_RESULTS": false,
		"PLEXLABEL": true, "GORACE": true, "MY_PLEXLAB_LIMIT": true,
	} {
		t.Setenv(name, "1")
		if got := slices.Contains(Clean(), name+"=1"); got != stays {
			t.Errorf("%s stays: %t, want %t", name, got, stays)
		}
	}
}
