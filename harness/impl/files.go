package impl

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// ListFiles are the files that Files names, relative to Dir with slashes, each once and in order. A pattern that no regular file
// matches is an error that matches fs.ErrNotExist.
func (m *Manifest) ListFiles() ([]string, error) {
	var all []string
	dir := os.DirFS(m.Dir)
	for _, pattern := range m.Files {
		found, err := fs.Glob(dir, pattern)
		if err != nil {
			return nil, fmt.Errorf("files %q of implementation %s: %w", pattern, m.Name, err)
		}
		found = slices.DeleteFunc(found, func(name string) bool {
			info, err := fs.Stat(dir, name)
			return err != nil || !info.Mode().IsRegular()
		})
		if len(found) == 0 {
			return nil, fmt.Errorf("files %q of implementation %s: there is none in %s: %w", pattern, m.Name, m.Dir, fs.ErrNotExist)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
