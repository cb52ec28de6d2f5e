package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/plexlab/machine"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/suites"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// certification is one call of plexlab certify.
type certification struct {
	io        streams
	told      *progress
	dir       string // of the certificate
	manifest  string // path, absolute
	keyPath   string
	processes int
	set       *suites.Set
	names     []string // of suites
	terms     certificate.Terms

	implementation *impl.Manifest
	remedy         string // for a program of the implementation that is not there
	program        string // plexlab itself
}

func newCertify(io streams) *cobra.Command {
	c := &certification{io: io}
	var (
		profiles []string
		place    string
	)
	command := &cobra.Command{
		Use: "certify", Short: "Certify an implementation, and sign what came of it", GroupID: groupCertify,
		Long: `Runs the conformance suites against an implementation and writes a signed certificate, with the
evidence of every spec, into a new directory. What the manifest declares is held against it: a capability
that is declared and fails is a failure, one that is not declared is named with its share. Verdicts rest on
packets, messages and the port file; where the implementation offers traces, on these in addition.

The suites lie in ../suites beside this program; make suites builds them. A key that is not there yet is
made.

Exit status: 0 certified; 1 the implementation failed; 10 the kit or the machine broke; 11 a stimulus never
arrived; 12 nothing ran; 14 a requirement that is due was not verified; 15 an edge that is due was not
taken; 16 a verdict was another one when run again. Whatever of these it is, there is a certificate that says so.
Without a certificate: 2 the command line, the key or the manifest is wrong; 3 this machine lacks a right or a feature, or
the output cannot be written; 10 with a line on standard error, the kit broke; 130 it was interrupted. What was found until
then stays in DIRECTORY; take it away, or name another one, before you begin again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(profiles) == 0 && cmd.Flags().Changed("profile") {
				return usagef("--profile names none; without it all are certified that are declared")
			}
			if err := c.prepare(profiles, place); err != nil {
				return blameKit(err)
			}
			return blameKit(c.run(cmd.Context()))
		},
	}
	flags := command.Flags()
	flags.StringVarP(&c.manifest, "implementation", "i", "", "`MANIFEST` of the implementation; $"+implementationVariable+", or the reference, if not given")
	flags.StringVarP(&c.dir, "output", "o", "", "`DIRECTORY` of the certificate, which is made")
	flags.StringSliceVar(&profiles, "profile", nil, "`PROFILE` to certify, several separated by commas; all that are declared if not given")
	flags.BoolVar(&c.terms.BlackBox, "black-box", false, "leave traces aside though the implementation offers them")
	flags.IntVar(&c.terms.Repeat, "repeat", 1, "run everything `N` times; a verdict that changes is not certifiable")
	flags.Int64Var(&c.terms.Seed, "seed", 0, "`SEED` of the order of specs, by chance if not given")
	flags.StringVar(&c.keyPath, "key", "", "`FILE` of the certifier's ed25519 key (PEM); certifier.pem in the user's configuration if not given")
	flags.IntVar(&c.processes, "procs", 4, "`NUMBER` of processes that run a suite side by side")
	flags.StringVar(&place, "suites", "", "`DIRECTORY` of the suites")
	flags.StringSliceVar(&c.names, "only", nil, "`SUITE` to run; what the others verify is missing then")
	flags.StringVar(&c.terms.Focus, "focus", "", "`REGEXP` of the names of specs to run; what comes of them certifies nothing")
	_ = flags.MarkHidden("suites") // these fail for an unknown flag only
	_ = command.RegisterFlagCompletionFunc("profile", completeProfiles)
	_ = command.RegisterFlagCompletionFunc("implementation", completeManifest)
	_ = command.MarkFlagDirname("output")
	return command
}

func completeProfiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, c := range impl.Capabilities() {
		names = append(names, string(c))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeManifest(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// prepare checks what was asked for, before anything is touched.
func (c *certification) prepare(profiles []string, place string) (err error) {
	if c.dir == "" {
		return usagef("name the directory of the certificate with --output")
	}
	if c.terms.Repeat < 1 || c.processes < 1 {
		return usagef("--repeat and --procs must be above zero")
	}
	if _, err := regexp.Compile(c.terms.Focus); err != nil {
		return usagef("--focus: %w", err)
	}
	if c.program, err = os.Executable(); err != nil {
		return fmt.Errorf("find the program itself: %w", err)
	}
	c.remedy = "build it first"
	if c.manifest == "" {
		if os.Getenv(implementationVariable) == "" {
			c.remedy = "run: make build" // it is the reference
		}
		if c.manifest, err = defaultManifest(); err != nil {
			return err
		}
	}
	if c.manifest, err = filepath.Abs(c.manifest); err != nil {
		return fmt.Errorf("find the manifest: %w", err)
	}
	if c.implementation, err = readManifest(c.manifest); err != nil {
		return err
	}
	if err := c.chooseProfiles(profiles); err != nil {
		return err
	}
	if err := c.findSuites(cmp.Or(place, filepath.Join(filepath.Dir(c.program), "..", "suites"))); err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return fmt.Errorf("make the directory of the certificate: %w", err)
	}
	if entries, err := os.ReadDir(c.dir); err == nil && len(entries) > 0 {
		// In the order of names the certificate stands before the manifest.
		if entries[0].Name() == certificate.ManifestFile {
			return usagef("%s holds a certification that was not brought to its end; remove it, or name another directory", c.dir)
		}
		return usagef("%s is not empty; a certificate has a directory of its own", c.dir)
	}
	if c.keyPath == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return usagef("name the file of the certifier's key with --key: %w", err)
		}
		c.keyPath = filepath.Join(config, "plexlab", "certifier.pem")
	}
	if c.terms.Seed == 0 {
		c.terms.Seed = 1 + rand.Int64N(1<<31)
	}
	c.terms.SuiteCommit, c.terms.Manifest = version, c.manifest
	if c.terms.Kernel, err = kernelRelease(); err != nil {
		return err
	}
	return c.findImplementation()
}

func (c *certification) findSuites(dir string) (err error) {
	const build = "run: make build suites"
	c.set, err = suites.Find(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &machine.MissingError{Features: []machine.Feature{{Name: "the suites in " + dir, Use: "plexlab certify", Missing: "not built", Remedy: build}}}
	}
	if err != nil {
		return err
	}
	if c.set.Version != version {
		return usagef("the suites are of %s, this program is of %s; %s", c.set.Version, version, build)
	}
	for _, name := range c.names {
		if !slices.Contains(c.set.Names, name) {
			return usagef("there is no suite %s; there are %s", name, strings.Join(c.set.Names, ", "))
		}
	}
	c.terms.Suites = c.set.Names
	if len(c.names) > 0 {
		c.terms.Suites = c.names
	}
	return nil
}

// findImplementation hashes the programs that the manifest starts, and the files that it names.
func (c *certification) findImplementation() error {
	programs, err := c.implementation.Programs()
	if err != nil {
		return usagef("%w; %s", err, c.remedy)
	}
	names, err := c.implementation.ListFiles()
	if err != nil {
		return usageError{err}
	}
	for i, path := range programs {
		file, err := certificate.HashFile(path, filepath.Base(path))
		if err != nil {
			return err
		}
		if i == 0 {
			c.terms.Program = file
		} else {
			c.terms.Files = append(c.terms.Files, file)
		}
	}
	for _, name := range names {
		file, err := certificate.HashFile(filepath.Join(c.implementation.Dir, name), name)
		if err != nil {
			return err
		}
		c.terms.Files = append(c.terms.Files, file)
	}
	return nil
}

// run runs the suites, makes the certificate and tells what it says.
func (c *certification) run(ctx context.Context) error {
	if _, err := machine.Check(ctx, []string{c.program, "check", "--inside"}); err != nil {
		return err
	}
	key, made, err := certificate.SigningKey(c.keyPath)
	switch {
	case made && err != nil:
		return outputError{err}
	case err != nil:
		return usageError{err}
	}
	if made {
		fmt.Fprintf(c.io.err, "made a key for you: %s; keep it, for whoever trusts it trusts your certificates\n", c.keyPath)
	}
	c.told = newProgress(c.io.err, false)
	for n := range c.terms.Repeat {
		if err := c.runOnce(ctx, n+1); err != nil {
			c.told.clear()
			return err
		}
	}
	c.told.step("judging the evidence")
	signed, err := certificate.Issue(c.dir, c.terms, key)
	c.told.clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.io.out, "%s\ncertificate: %s\nreport: %s\nsigned with key %s\ncheck it: plexlab verify %s\n",
		signed.Text(), filepath.Join(c.dir, certificate.EnvelopeFile),
		filepath.Join(c.dir, certificate.RunDirectory(1), report.PageFile), key.ID(), c.dir)
	return statusOfOutcome(signed.Outcome())
}

// runOnce runs every suite once and makes the reports of the run.
func (c *certification) runOnce(ctx context.Context, n int) error {
	results := filepath.Join(c.dir, certificate.RunDirectory(n))
	text, err := os.ReadFile(c.manifest)
	if err == nil {
		err = report.Prepare(results)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, certificate.ManifestFile), text, 0o644)
	}
	if err != nil {
		return outputError{fmt.Errorf("begin run %d: %w", n, err)}
	}
	for i, name := range c.terms.Suites {
		count := map[verdict.Verdict]int{}
		about := fmt.Sprintf("run %d of %d, suite %d of %d, %s", n, c.terms.Repeat, i+1, len(c.terms.Suites), name)
		if c.told.live {
			c.told.step(about)
		}
		err := c.set.Run(ctx, name, suites.Config{
			Results: results, Program: c.program, Manifest: c.manifest, Profiles: c.terms.Profiles(),
			BlackBox: c.terms.BlackBox, Focus: c.terms.Focus, Seed: c.terms.Seed, Processes: c.processes,
			Progress: func(p report.Progress) {
				count[p.Verdict]++
				if c.told.live {
					c.told.step(about + ": " + counted(count))
				}
			},
		})
		if err != nil {
			return err
		}
		c.told.done(about + ": " + counted(count))
	}
	log, err := os.OpenFile(filepath.Join(results, suites.LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("end run %d: %w", n, err)
	}
	_, err = writeReports(results, certificate.Inputs(c.terms, c.implementation), c.terms.Page(), log)
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("end run %d: %w", n, err)
	}
	return nil
}

// counted is how many specs came to which verdict: "12 PASS, 1 FAIL".
func counted(count map[verdict.Verdict]int) string {
	var parts []string
	for _, v := range verdict.All {
		if count[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[v], v))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "no spec")
}
