package certificate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// HashFile is the File of a path, under another name.
func HashFile(path, name string) (File, error) {
	file, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer file.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, file)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return File{Path: name, Bytes: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// errIrregular: what a directory holds is neither a file nor a directory.
var errIrregular = errors.New("not a regular file")

// listFiles is every file below dir but the envelope and the key, in order of their paths. What is
// neither a file nor a directory is an error.
func listFiles(dir string) ([]File, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is %w", path, errIrregular)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name != EnvelopeFile && name != KeyFile {
			paths = append(paths, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	files := make([]File, len(paths))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, name := range paths {
		group.Go(func() (err error) {
			files[i], err = HashFile(filepath.Join(dir, filepath.FromSlash(name)), name)
			return err
		})
	}
	return files, group.Wait()
}

// compareFiles is what of the files that were signed is not what is there.
func compareFiles(signed, there []File) (changed, missing error) {
	found := map[string]File{}
	for _, f := range there {
		found[f.Path] = f
	}
	for _, f := range signed {
		now, ok := found[f.Path]
		delete(found, f.Path)
		switch {
		case !ok:
			missing = errors.Join(missing, fmt.Errorf("%s is not there", f.Path))
		case now != f:
			changed = errors.Join(changed, fmt.Errorf("%s was changed: its SHA-256 is %.16s..., %.16s... was signed", f.Path, now.SHA256, f.SHA256))
		}
	}
	for _, f := range there {
		if _, ok := found[f.Path]; ok {
			missing = errors.Join(missing, fmt.Errorf("%s was not signed", f.Path))
		}
	}
	return changed, missing
}
