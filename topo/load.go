package topo

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// Load reads and checks a topology file and the profile files that it names. Errors of the text
// are Errors, all that were found; otherwise the error is that of reading a file.
func Load(file string) (*Topology, error) {
	data, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("read topology: %w", err)
	}
	return Parse(file, data)
}

// Parse checks the text of a topology file. File is what positions call it; profile files are
// looked for beside it. Errors are as those of Load, there is no Topology then.
func Parse(file string, data []byte) (*Topology, error) {
	return parse(file, data, readText)
}

func parse(file string, data []byte, read func(file string) ([]byte, error)) (*Topology, error) {
	s, err := newSource(file, data)
	if err != nil {
		return nil, err
	}
	if err := checkShape(s); err != nil {
		return nil, err
	}
	t := &Topology{}
	if err := yaml.UnmarshalWithOptions(data, t, yaml.Strict()); err != nil {
		return nil, s.syntaxError(err)
	}
	t.source = s
	if err := t.readProfiles(filepath.Dir(file), read); err != nil {
		return nil, err
	}
	if _, err := t.Plan(); err != nil {
		return nil, err
	}
	return t, nil
}

// readProfiles reads the profile files into Profile.
func (t *Topology) readProfiles(dir string, read func(file string) ([]byte, error)) error {
	var errs Errors
	for i := range t.Stacks {
		s := &t.Stacks[i]
		at := path("").at("stacks", i, "profile_file")
		switch {
		case s.ProfileFile == "":
		case s.Profile != "":
			errs.Add(t.source.place(at), "found profile_file beside profile, expected one of them")
		default:
			if !filepath.IsAbs(s.ProfileFile) {
				s.ProfileFile = filepath.Join(dir, s.ProfileFile)
			}
			text, err := read(s.ProfileFile)
			if err != nil {
				errs.Add(t.source.place(at), "found a file that cannot be read: %v", err)
			}
			s.Profile = string(text)
		}
	}
	return errs.Err()
}

// readText reads a regular file of bounded length.
func readText(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: file, Err: fmt.Errorf("not a regular file: %s", info.Mode().Type())}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
