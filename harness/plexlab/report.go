package main

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/report/page"
)

// writeReports makes all reports of a run.
func writeReports(dir string, inputs report.Inputs, options page.Options, terminal io.Writer) (report.Outcome, error) {
	outcome, err := report.Write(dir, inputs, terminal)
	if err != nil {
		return outcome, outputError{err}
	}
	return outcome, page.Write(dir, options)
}

// newReport makes the reports of a run of suites; make conformance is how a person calls it.
func newReport(std streams) *cobra.Command {
	var (
		suites   []string
		started  int64
		manifest string
	)
	command := &cobra.Command{
		Use: "report DIRECTORY", Short: "Make the reports of what the suites left in a directory", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.ReadDir(args[0]); err != nil {
				return usageError{err}
			}
			implementation, err := readManifest(manifest)
			if err != nil {
				return err
			}
			kernel, err := kernelRelease()
			if err != nil {
				return err
			}
			inputs := report.Inputs{
				Suites:         suites,
				Implementation: report.Implementation{Name: implementation.Name, Version: implementation.Version, Terms: implementation.Terms()},
				SuiteCommit:    version,
				Kernel:         kernel,
				WhiteBox:       implementation.Traces,
			}
			if started > 0 {
				inputs.Started = time.Unix(started, 0)
			}
			outcome, err := writeReports(args[0], inputs, page.Options{Manifest: manifest}, std.out)
			if err != nil {
				return blameKit(err)
			}
			if outcome.Code != 0 {
				return statusError(outcome.Code)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&suites, "suites", nil, "names of the suites that were started")
	flags.Int64Var(&started, "started", 0, "when the run began, in seconds since 1970; reports of earlier ones don't count")
	flags.StringVarP(&manifest, "implementation", "i", "", "`MANIFEST` of the implementation")
	return command
}
