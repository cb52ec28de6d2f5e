package certificate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// RunDirectory is the name of a run's directory; runs are counted from 1.
func RunDirectory(run int) string { return fmt.Sprintf("run-%d", run) }

// Issue makes the certificate of the runs in dir and signs it. The error is not nil where there is none;
// a certificate that says no is no error.
func Issue(dir string, terms Terms, key *Key) (*Certificate, error) {
	found, err := load(dir, terms)
	if err != nil {
		return nil, fmt.Errorf("make the certificate: %w", err)
	}
	c := found.conclude()
	files, err := listFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("make the certificate: list the evidence: %w", err)
	}
	c.Evidence = files
	if err := c.sign(dir, key); err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	return c, nil
}

// sign writes the envelope, and beside it the public key.
func (c *Certificate) sign(dir string, key *Key) error {
	manifest, err := c.manifest()
	if err != nil {
		return err
	}
	envelope, err := seal(c, manifest, key)
	if err != nil {
		return err
	}
	public, err := key.public()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, EnvelopeFile), envelope, 0o644),
		os.WriteFile(filepath.Join(dir, KeyFile), public, 0o644))
}

// manifest is that of the implementation among the evidence.
func (c *Certificate) manifest() (File, error) {
	i := slices.IndexFunc(c.Evidence, func(f File) bool { return f.Path == ManifestFile })
	if i < 0 {
		return File{}, fmt.Errorf("%s is not among the evidence", ManifestFile)
	}
	return c.Evidence[i], nil
}

// found is what the directory of a certificate holds.
type found struct {
	dir      string
	terms    Terms
	manifest *impl.Manifest
	runs     []*report.Report
}

// load reads manifest and runs. What is wrong with a run is among its problems.
func load(dir string, terms Terms) (*found, error) {
	manifest, err := impl.Read(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, err
	}
	f := &found{dir: dir, terms: terms, manifest: manifest}
	for n := range terms.Repeat {
		r, _ := report.Read(filepath.Join(dir, RunDirectory(n+1)), Inputs(terms, manifest))
		for i, p := range r.Problems {
			r.Problems[i] = within(dir, p)
		}
		f.runs = append(f.runs, r)
	}
	return f, nil
}

// conclude lets the certificate follow from the files, all but the list of them.
func (f *found) conclude() *Certificate {
	packets, problems := f.derive()
	c := judge(f.terms, f.manifest, f.runs, problems)
	c.Packets = packets
	return c
}

// within takes the place of the certificate out of a text: it may be moved.
func within(dir, text string) string {
	return strings.ReplaceAll(text, filepath.Clean(dir)+string(filepath.Separator), "")
}

// Inputs are what package report is told of each run.
func Inputs(terms Terms, manifest *impl.Manifest) report.Inputs {
	return report.Inputs{
		Suites:         terms.Suites,
		Implementation: report.Implementation{Name: manifest.Name, Version: manifest.Version, Terms: manifest.Terms()},
		SuiteCommit:    terms.SuiteCommit,
		Kernel:         terms.Kernel,
		WhiteBox:       manifest.Traces && !terms.BlackBox,
	}
}

// derive judges the packets of every spec again, and says where they speak against its verdict.
func (f *found) derive() (Packets, []string) {
	type spec struct {
		report.Spec
		dir, name string
		derived   evidence.Derived
		err       error
	}
	var specs []*spec
	var problems []string
	owners := map[string]string{}
	for n, r := range f.runs {
		for _, s := range r.Specs {
			name := fmt.Sprintf("run %d: %s: %s", n+1, s.Suite, s.Name)
			kept, ok := s.Evidence[report.EvidenceEntry]
			if !ok {
				if s.Verdict == verdict.Pass && leavesPackets(s) {
					problems = append(problems, name+": it passed and left no packets")
				}
				continue
			}
			place := filepath.Join(RunDirectory(n+1), "evidence", s.Suite, filepath.Base(kept))
			if owner, taken := owners[place]; taken {
				problems = append(problems, name+": its packets are those of "+owner)
			}
			owners[place] = name
			specs = append(specs, &spec{Spec: s, dir: place, name: name})
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, s := range specs {
		group.Go(func() error {
			s.derived, s.err = evidence.Derive(filepath.Join(f.dir, s.dir))
			return nil
		})
	}
	_ = group.Wait() // nothing in it fails
	var all Packets
	for _, r := range f.runs {
		all.Passed += r.Summary.Passed
	}
	for _, s := range specs {
		all.Specs++
		if s.Verdict == verdict.Pass && s.derived.Again > 0 {
			all.Derived++
		}
		all.Again += s.derived.Again
		all.Opaque += s.derived.Opaque
		err := s.err
		if err == nil {
			err = errors.Join(s.derived.Supports(s.Verdict), longest(s.derived, f.manifest))
		}
		if err != nil {
			problems = append(problems, s.name+": "+within(f.dir, strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	return all, problems
}
