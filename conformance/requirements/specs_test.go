package requirements

import (
	"os"
	"path/filepath"
	"testing"
)

// An id without a spec, or a label without an id, fails the build.
func TestSpecsAndRequirementsFitTogether(t *testing.T) {
	rooms, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var claims []Claim
	for _, room := range rooms {
		if room.Name() == "requirements" { // its tests make claims of their own
			continue
		}
		found, err := Scan(filepath.Join("..", room.Name()))
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, found...)
	}
	if err := Check(claims).Err(); err != nil {
		t.Error(err)
	}
}
