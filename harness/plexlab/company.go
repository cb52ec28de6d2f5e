package main

import (
	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// newCompany holds what certify asks of profiles against what specs say that they need; scripts/test calls it.
func newCompany() *cobra.Command {
	return &cobra.Command{
		Use: "company DIRECTORY", Short: "Look whether profiles can be certified, by a report of all suites", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := report.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			return certificate.CheckCompany(certificate.SpecNeeds(r))
		},
	}
}
