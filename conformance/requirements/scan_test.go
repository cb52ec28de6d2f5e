package requirements

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScanFindsClaims(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "fig12", "block142_test.go"), `package fig12_test
var _ = It("x", Label("unit"), requirements.Covers("fig12/142-no->152", "I1"), func() {})
var _ = It("y", Covers("T4"), func() {})
`)
	write(t, filepath.Join(dir, "fig12", "glue.go"), "package fig12\nvar _ = Covers(\"T5\")\n")
	write(t, filepath.Join(dir, "testdata", "broken_test.go"), "no Go at all")
	claims, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Claim{
		{"fig12/142-no->152", "block142_test.go:2:52"},
		{"I1", "block142_test.go:2:73"},
		{"T4", "block142_test.go:3:24"},
	}
	for i := range claims {
		claims[i].Position = filepath.Base(claims[i].Position)
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestScanRefuses(t *testing.T) {
	for name, source := range map[string]string{
		"an id that is computed":      "package p\nvar _ = Covers(id(\"T4\"))\n",
		"a file that does not parse":  "package p\nvar _ = Covers(\n",
		"an id that is no string":     "package p\nvar _ = Covers(4)\n",
		"ids that are passed through": "package p\nvar _ = Covers(ids...)\n",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "p_test.go"), source)
		if claims, err := Scan(dir); err == nil || !strings.Contains(err.Error(), "p_test.go:2") {
			t.Errorf("%s: want an error with its place, got %v, %v", name, claims, err)
		}
	}
	if _, err := Scan(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a directory that is absent: want an error")
	}
}

func TestCheck(t *testing.T) {
	var whole []Claim
	for _, r := range All() {
		if r.Status == Now && r.Kind != Block {
			whole = append(whole, Claim{ID: r.ID, Position: "x_test.go:1:1"})
		}
	}
	if err := Check(whole).Err(); err != nil {
		t.Errorf("every edge is claimed, and with it every block: got %v", err)
	}

	without := slices.DeleteFunc(slices.Clone(whole), func(c Claim) bool { return c.ID == "fig12/150->end" || c.ID == "I1" })
	claims := append(without, Claim{"fig12/999", "a_test.go:7:9"}, Claim{"T36", "b_test.go:1:2"}, Claim{"T31", "c_test.go:1:2"})
	gaps := Check(claims)
	want := Gaps{
		Unclaimed: []string{"fig12/150->end", "I1"},
		Unknown:   []Claim{{"fig12/999", "a_test.go:7:9"}},
		Premature: []Claim{{"T36", "b_test.go:1:2"}},
	}
	if diff := cmp.Diff(want, gaps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, part := range []string{"a_test.go:7:9", "b_test.go:1:2", "I1: no spec covers it"} {
		if err := gaps.Err(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in %v", part, err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
