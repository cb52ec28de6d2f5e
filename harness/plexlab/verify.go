package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/certificate"
)

// statusOfOutcome is nil for a certificate that certifies.
func statusOfOutcome(o certificate.Outcome) error {
	if o.Code == 0 {
		return nil
	}
	return statusError(o.Code)
}

// noCertificate says of an error of certificate.Verify where there is nothing to verify.
func noCertificate(dir string, err error) error {
	switch {
	case as[*certificate.Refusal](err):
		return err
	case errors.Is(err, unix.ENOTDIR):
		return usagef("%s is no directory: %w", dir, err)
	case errors.Is(err, fs.ErrNotExist):
		return notFoundf("%s holds no certificate: %w", dir, err)
	}
	return err
}

func newVerify(io streams) *cobra.Command {
	var keyPath string
	command := &cobra.Command{
		Use: "verify DIRECTORY", Short: "Check a certificate, offline", GroupID: groupCertify,
		Long: `Checks the certificate in a directory: the signature, that no byte of the evidence was changed, that
every published requirement has a verdict, that nobody was given more time than is published, and that
certificate and verdicts follow from the evidence, packet by packet. It takes no network, no
laboratory and no rights.

Without --key the key beside the certificate is taken: then nothing was changed since it was signed, but
anybody may have signed it.

Exit status: 0 it holds, and certifies; that of plexlab certify where it holds, and says no; 20 the signature does not hold; 21 signed with another key;
22 evidence was changed; 23 evidence is missing or was added; 24 its requirements are not the published ones;
25 an implementation was given more than is published; 26 it does not follow from its evidence. 2 the command line or
the key is wrong; 3 the certificate may not be read; 4 there is none; 10 with a line on standard error, the kit broke.`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var key *certificate.Key
			if keyPath != "" {
				var err error
				if key, err = certificate.ReadKey(keyPath); err != nil {
					return usageError{err}
				}
			}
			c, err := certificate.Verify(args[0], key)
			if err != nil {
				return blameKit(noCertificate(args[0], err))
			}
			fmt.Fprint(io.out, c.Text())
			if key == nil {
				fmt.Fprintln(io.out, "verified: nothing was changed since it was signed; name the certifier's key with --key to know who signed")
			} else {
				fmt.Fprintf(io.out, "verified: signed with key %s, and nothing was changed since\n", key.ID())
			}
			return statusOfOutcome(c.Outcome())
		},
	}
	command.Flags().StringVar(&keyPath, "key", "", "`FILE` of the certifier's key, public or private (PEM)")
	return command
}
