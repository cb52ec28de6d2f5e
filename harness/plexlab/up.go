package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/topo"
)

func newUp(io streams) *cobra.Command {
	var (
		name      string
		manifests []string
		names     bool
		asJSON    bool
	)
	command := &cobra.Command{
		Use: "up FILE", Short: "Build the Sysplex of a topology and start it", GroupID: groupLab,
		Long: `Builds the Sysplex of a topology, starts its stacks and, once they have settled, its applications.
It stays until plexlab down. Interrupted before it is ready, it leaves nothing behind.

If no other implementation is named, stacks are the reference: its manifest is reference.yaml beside
this program, or else ../../fixtures/implementations/reference.yaml from there, as in the source tree.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopology,
		RunE: func(cmd *cobra.Command, args []string) error {
			topology, plan, err := loadTopology(args[0])
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program itself: %w", err)
			}
			options := lab.Options{Name: name, Names: names, Detach: true, Supervisor: lab.SupervisorOf(self)}
			if options.Implementation, options.Implementations, err = implementations(plan, manifests); err != nil {
				return err
			}
			if err := topology.Unsupported(func(stack string) profile.Features {
				return cmp.Or(options.Implementations[stack], options.Implementation).Features()
			}); err != nil {
				return usageError{err}
			}
			told := newProgress(io.err, asJSON)
			options.Progress = func(step lab.Step) { told.step(words(step)) }
			l, err := lab.Up(cmd.Context(), &plan, options)
			if err != nil {
				told.clear()
				return notUp(err, cmp.Or(name, plan.Name))
			}
			defer l.Close()
			told.done(fmt.Sprintf("%s is up", l.Name()))
			if asJSON {
				return printJSON(io.out, lab.Found{Name: l.Name(), UID: os.Getuid(), Pid: l.Pid()})
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&name, "name", "", "`NAME` of the laboratory, that of the plex if not given")
	addImplementation(command, &manifests)
	flags.BoolVar(&names, "names", false, "name its namespaces under /run/netns, LAB-NODE; takes root")
	addJSON(command, &asJSON)
	return command
}

// notUp says what to do about a name that is taken, and a stack that is not built.
func notUp(err error, name string) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("laboratory %s is up already; end it with: plexlab down %[1]s, or give this one another name: --name", name)
	case as[*lab.OptionsError](err) && errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w; build it first (the reference: make build)", err)
	}
	return err
}

// words is a step as a person reads it.
func words(step lab.Step) string {
	text := strings.TrimSpace(string(step.Kind) + " " + step.Object)
	if step.Detail != "" {
		text += ": " + step.Detail
	}
	return text
}

// implementationVariable is the environment's default for --implementation.
const implementationVariable = "PLEXLAB_IMPLEMENTATION"

func addImplementation(command *cobra.Command, manifests *[]string) {
	command.Flags().StringArrayVarP(manifests, "implementation", "i", nil,
		"`MANIFEST` of the implementation, or NAME=MANIFEST for the stacks whose topology\nsays NAME; "+
			"$"+implementationVariable+" or the reference if not given")
	// The error is for a flag that does not exist.
	_ = command.MarkFlagFilename("implementation", "yaml", "yml")
}

// implementations reads the manifests for a plan: one for the stacks that name none, and that of
// each stack that names one.
func implementations(plan topo.Plan, manifests []string) (*impl.Manifest, map[string]*impl.Manifest, error) {
	var standard *impl.Manifest
	named := map[string]*impl.Manifest{}
	for _, value := range manifests {
		name, file, found := strings.Cut(value, "=")
		if !found {
			name, file = "", value
		}
		if file == "" {
			return nil, nil, usagef("--implementation %q: the manifest's file is missing", value)
		}
		manifest, err := readManifest(file)
		if err != nil {
			return nil, nil, err
		}
		if name == "" {
			standard = manifest
		} else {
			named[name] = manifest
		}
	}
	if standard == nil {
		var err error
		if standard, err = readManifest(""); err != nil {
			return nil, nil, err
		}
	}
	byStack := map[string]*impl.Manifest{}
	for _, node := range plan.Nodes {
		if node.Stack == nil || node.Stack.Implementation == "" {
			continue
		}
		manifest := named[node.Stack.Implementation]
		if manifest == nil {
			return nil, nil, usagef("stack %s runs implementation %s; name its manifest: --implementation %[2]s=FILE",
				node.Name, node.Stack.Implementation)
		}
		byStack[node.Name] = manifest
	}
	return standard, byStack, nil
}

// readManifest reads a manifest, the default one where no file is named.
func readManifest(file string) (*impl.Manifest, error) {
	if file == "" {
		var err error
		if file, err = defaultManifest(); err != nil {
			return nil, err
		}
	}
	manifest, err := impl.Read(file)
	if err != nil {
		return nil, usageError{err}
	}
	return manifest, nil
}

// defaultManifest is the reference's: beside the program, or where the source tree keeps it.
func defaultManifest() (string, error) {
	if file := os.Getenv(implementationVariable); file != "" {
		return file, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program itself: %w", err)
	}
	dir := filepath.Dir(self)
	for _, file := range []string{
		filepath.Join(dir, "reference.yaml"),
		filepath.Join(dir, "..", "..", "fixtures", "implementations", "reference.yaml"),
	} {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", usagef("no manifest of the reference near %s; name one: --implementation FILE", self)
}
