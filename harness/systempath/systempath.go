// Package systempath is about where system programs are.
package systempath

import (
	"os"
	"path/filepath"
	"slices"
)

// Add adds the directories of system programs to PATH, which an ordinary user's does not
// always have: nft and many servers are there, and what runs in a laboratory inherits it.
func Add() {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !slices.Contains(filepath.SplitList(path), dir) {
			path += string(filepath.ListSeparator) + dir
		}
	}
	// It fails for a name or a value with a zero byte only.
	_ = os.Setenv("PATH", path)
}
