package requirements

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Claim is one id in a call of Covers.
type Claim struct {
	ID string
	// Position is FILE:LINE:COLUMN.
	Position string
}

// Scan collects what the specs below dir claim to cover: the arguments of every call of Covers in
// a file ending in _test.go. An argument that is no string literal, or a file that does not
// parse, is an error.
func Scan(dir string) ([]Claim, error) {
	var claims []Claim
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		found, err := scanFile(path)
		claims = append(claims, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("scan specs below %s: %w", dir, err)
	}
	return claims, nil
}

func scanFile(path string) ([]Claim, error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var claims []Claim
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || !callsCovers(call) {
			return true
		}
		for _, argument := range call.Args {
			position := positions.Position(argument.Pos()).String()
			literal, ok := argument.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				err = fmt.Errorf("%s: an id in Covers must be a string literal", position)
				return false
			}
			id, unquoted := strconv.Unquote(literal.Value)
			if unquoted != nil {
				err = fmt.Errorf("%s: %w", position, unquoted)
				return false
			}
			claims = append(claims, Claim{ID: id, Position: position})
		}
		return true
	})
	return claims, err
}

func callsCovers(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "Covers"
	case *ast.SelectorExpr:
		return f.Sel.Name == "Covers"
	}
	return false
}

// Gaps are where specs and requirements do not fit together.
type Gaps struct {
	// Unclaimed are the ids due now that no spec covers, neither directly nor by an edge.
	Unclaimed []string
	// Unknown are claims of ids that do not exist.
	Unknown []Claim
	// Premature are claims of ids that are informative: nothing can verify them.
	Premature []Claim
}

// Check compares claims with the requirements.
func Check(claims []Claim) Gaps { return embedded().check(claims) }

func (c *catalogue) check(claims []Claim) Gaps {
	var gaps Gaps
	claimed := map[string]bool{}
	for _, claim := range claims {
		r, ok := c.find(claim.ID)
		switch {
		case !ok:
			gaps.Unknown = append(gaps.Unknown, claim)
		case r.Status == Informative:
			gaps.Premature = append(gaps.Premature, claim)
		}
		for _, id := range append(c.implied(claim.ID), claim.ID) {
			claimed[id] = true
		}
	}
	for _, r := range c.all {
		if r.Status == Now && !claimed[r.ID] {
			gaps.Unclaimed = append(gaps.Unclaimed, r.ID)
		}
	}
	return gaps
}

// Err is nil where nothing is amiss; else it lists every gap, one a line, with what to do.
func (g Gaps) Err() error {
	var lines []string
	for _, claim := range g.Unknown {
		lines = append(lines, fmt.Sprintf("%s: Covers(%q): there is no such requirement", claim.Position, claim.ID))
	}
	for _, claim := range g.Premature {
		lines = append(lines, fmt.Sprintf("%s: Covers(%q): the requirement is informative", claim.Position, claim.ID))
	}
	for _, id := range slices.Sorted(slices.Values(g.Unclaimed)) {
		lines = append(lines, fmt.Sprintf("%s: no spec covers it; write one, or mark it not-yet with a reason", id))
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("specs and requirements do not fit together:\n%s", strings.Join(lines, "\n"))
}
