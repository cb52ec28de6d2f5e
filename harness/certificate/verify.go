package certificate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report/page"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
)

// A Refusal says why a certificate is not to be believed.
type Refusal struct {
	Reason Reason
	// Details are one a line.
	Details error
}

// Error begins with the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("refused, %s: %s", r.Reason.Name, r.Details) }

// Unwrap is the details.
func (r *Refusal) Unwrap() error { return r.Details }

// A Reason is a kind of refusal. Code is the exit status of a program that reports it.
type Reason struct {
	Name string
	Code int
}

// The reasons, in the order in which Verify looks for them.
var (
	BadSignature = Reason{"the signature does not hold", 20}
	WrongKey     = Reason{"it is signed with another key", 21}
	Changed      = Reason{"evidence was changed", 22}
	Misplaced    = Reason{"evidence is missing or was added", 23}
	Unpublished  = Reason{"its requirements are not the published ones", 24}
	Loosened     = Reason{"an implementation was given more than is published", 25}
	Contradicted = Reason{"it does not follow from its evidence", 26}
)

// Verify checks the certificate in dir. key is the certifier's, public or private; nil takes the one
// that lies beside the certificate, which shows that nothing was changed but not who signed. The error is a
// *Refusal, or says that the directory holds no certificate or cannot be read. Nothing outside of dir is looked at.
func Verify(dir string, key *Key) (*Certificate, error) {
	dir, err := filepath.EvalSymlinks(dir) // a link to the directory is as good as the directory
	if err != nil {
		return nil, fmt.Errorf("find the certificate: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, EnvelopeFile))
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	enclosed, err := enclosedKey(dir)
	if err != nil {
		return nil, &Refusal{BadSignature, err}
	}
	if key == nil {
		key = enclosed
	} else if key.ID() != enclosed.ID() {
		return nil, &Refusal{WrongKey, fmt.Errorf("%s is key %.16s, the certifier's is %.16s", KeyFile, enclosed.ID(), key.ID())}
	}
	c, payload, err := open(text, key)
	switch {
	case errors.Is(err, errKey):
		return nil, &Refusal{WrongKey, err}
	case err != nil:
		return nil, &Refusal{BadSignature, err}
	}
	if err := c.stated(payload); err != nil {
		return c, &Refusal{Contradicted, err}
	}
	return c, c.verify(dir)
}

// enclosedKey is the key that lies beside the certificate, written as it was.
func enclosedKey(dir string) (*Key, error) {
	path := filepath.Join(dir, KeyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := parseKey(path, text)
	if err != nil {
		return nil, err
	}
	again, err := key.public()
	if err == nil && !bytes.Equal(again, text) {
		err = fmt.Errorf("%s is not written as it was", KeyFile)
	}
	return key, err
}

// verify checks what the certificate says, once it is known who says it.
func (c *Certificate) verify(dir string) error {
	there, err := listFiles(dir)
	if errors.Is(err, errIrregular) {
		return &Refusal{Misplaced, err}
	}
	if err != nil {
		return fmt.Errorf("read the evidence: %w", err)
	}
	changed, missing := compareFiles(c.Evidence, there)
	for _, check := range []struct {
		reason Reason
		err    error
	}{
		{Changed, changed}, {Misplaced, missing}, {Unpublished, c.complete()},
	} {
		if check.err != nil {
			return &Refusal{check.reason, check.err}
		}
	}
	found, err := load(dir, c.Terms)
	if err != nil {
		return &Refusal{Contradicted, err}
	}
	if err := c.withinBounds(found); err != nil {
		return &Refusal{Loosened, err}
	}
	again := found.conclude()
	again.Evidence = c.Evidence
	if err := c.same(again); err != nil {
		return &Refusal{Contradicted, err}
	}
	if err := found.checkReports(); err != nil {
		return &Refusal{Contradicted, err}
	}
	return nil
}

// checkReports: what people and programs read of each run is what its results come to.
func (f *found) checkReports() error {
	var failed []error
	for n, r := range f.runs {
		dir := filepath.Join(f.dir, RunDirectory(n+1))
		for _, err := range []error{r.Check(dir), page.Check(dir, f.terms.Page())} {
			if err != nil {
				failed = append(failed, fmt.Errorf("run %d: %s", n+1, within(f.dir, err.Error())))
			}
		}
	}
	return errors.Join(failed...)
}

// complete: every requirement that is published has a verdict, and no other has.
func (c *Certificate) complete() error {
	verdicts := map[string]Requirement{}
	var failed []error
	for _, r := range c.Requirements {
		verdicts[r.ID] = r
	}
	for _, p := range published() {
		if r, ok := verdicts[p.ID]; !ok || r.Verdict == "" {
			failed = append(failed, fmt.Errorf("requirement %s has no verdict", p.ID))
		}
		delete(verdicts, p.ID)
	}
	for _, r := range c.Requirements {
		if _, ok := verdicts[r.ID]; ok {
			failed = append(failed, fmt.Errorf("requirement %s is not published; the suites are of commit %s: verify it with the plexlab of that commit", r.ID, c.SuiteCommit))
		}
	}
	return errors.Join(failed...)
}

// withinBounds: what the suites gave is what everybody gets or what the manifest declares, and no
// more than is published, in the suites' own account and in each judgement.
func (c *Certificate) withinBounds(f *found) error {
	failed := []error{f.manifest.CheckTerms()}
	for n, r := range f.runs {
		for _, suite := range r.Suites {
			who := fmt.Sprintf("run %d, suite %s", n+1, suite.Name)
			for _, t := range tolerance.All() {
				if given, ok := r.Tolerances[suite.Name][t.Name]; ok {
					failed = append(failed, checkGiven(who, t, given, f.manifest))
				} else {
					failed = append(failed, fmt.Errorf("%s does not say what it gave of %s", who, t.Name))
				}
			}
		}
	}
	for _, t := range c.Tolerances {
		standard, ok := tolerance.ByName(t.Name)
		if !ok || standard != t.Tolerance {
			failed = append(failed, fmt.Errorf("tolerance %s is not published like this", t.Name))
			continue
		}
		failed = append(failed, checkGiven("the certificate", standard, t.Given, f.manifest))
	}
	return errors.Join(failed...)
}

func checkGiven(who string, t tolerance.Tolerance, given time.Duration, manifest *impl.Manifest) error {
	if err := t.Check(given); err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	if t.Looser(given) && given != manifest.Allowed(t) {
		return fmt.Errorf("%s: %s is %s, the standard is %s, and the manifest does not declare a deviation to it",
			who, t.Name, given, t.Standard)
	}
	return nil
}

// slack is what a wait may be longer than its tolerance by the clock's reading.
const slack = time.Millisecond

// longest: no packet was waited for longer than the implementation is given.
func longest(d evidence.Derived, manifest *impl.Manifest) error {
	if limit := manifest.Allowed(tolerance.Limit); d.Longest > limit+slack {
		return fmt.Errorf("a packet was waited for %s, at most %s is given", d.Longest, limit)
	}
	return nil
}

// same is nil where two certificates say the same; else it names the parts in which they differ.
func (c *Certificate) same(again *Certificate) error {
	signed, err := parts(c)
	if err != nil {
		return err
	}
	follows, err := parts(again)
	if err != nil {
		return err
	}
	var failed []error
	for name := range signed {
		if string(signed[name]) != string(follows[name]) {
			failed = append(failed, fmt.Errorf("%s is %s, its evidence says %s", name, brief(signed[name]), brief(follows[name])))
		}
		delete(follows, name)
	}
	for name := range follows {
		failed = append(failed, fmt.Errorf("%s is missing, its evidence says %s", name, brief(follows[name])))
	}
	slices.SortFunc(failed, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(failed...)
}

func parts(c *Certificate) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	return all, json.Unmarshal(text, &all)
}

// brief shortens a part for an error.
func brief(part json.RawMessage) string {
	const most = 400
	if len(part) <= most {
		return string(part)
	}
	return string(part[:most]) + "..."
}
