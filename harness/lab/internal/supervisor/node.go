package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/harness/netns"
	"github.com/plexlab-dev/plexlab/topo"
)

// node is a node of the plan with what runs in it.
type node struct {
	lab       *supervisor
	plan      topo.PlanNode
	namespace *netns.Namespace
	stack     *stack  // nil for other kinds
	router    *router // nil where no routing protocol is spoken

	applications []*application // of the plan, in its order
}

// addNodes makes the nodes of the plan known, with their directories.
func (s *supervisor) addNodes() error {
	for _, plan := range s.plan.Nodes {
		n := &node{lab: s, plan: plan, namespace: s.fabric.Namespace(plan.Name)}
		if err := os.MkdirAll(filepath.Join(wire.NodePath(plan.Name), wire.AppsName), 0o755); err != nil {
			return fmt.Errorf("node %s: make its directory: %w", plan.Name, err)
		}
		if plan.Kind == topo.KindStack {
			manifest := s.setup.Implementations[plan.Name]
			if manifest == nil {
				manifest = s.setup.Implementation
			}
			if manifest == nil || plan.Stack == nil {
				return fmt.Errorf("stack %s: no implementation to start it with", plan.Name)
			}
			n.stack = &stack{node: n, manifest: manifest, state: wire.StateStopped}
		}
		if plan.Kind == topo.KindRouter && s.plan.Advertising.Method != "" {
			n.router = &router{node: n}
		}
		for _, plan := range plan.Applications {
			n.applications = append(n.applications, &application{plan: plan, state: wire.StateStopped})
		}
		s.nodes[plan.Name] = n
		s.order = append(s.order, n)
	}
	return nil
}

// find is the node of a name that somebody has typed.
func (s *supervisor) find(name string) (*node, error) {
	if n, ok := s.nodes[name]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("no node %q in lab %s: %w", name, s.setup.Name, unix.ENOENT)
}

// findStack is find for stacks.
func (s *supervisor) findStack(name string) (*stack, error) {
	n, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if n.stack == nil {
		return nil, fmt.Errorf("node %s is a %s, not a stack: %w", name, n.plan.Kind, unix.EINVAL)
	}
	return n.stack, nil
}

// start starts a process in the node.
func (n *node) start(argv, env []string, dir string, files [3]*os.File) (*reaper.Process, error) {
	environment := append(os.Environ(), env...)
	program, err := lookPath(argv[0], environment, dir)
	if err != nil {
		return nil, err
	}
	argv = append([]string{program}, argv[1:]...)
	var process *reaper.Process
	err = n.namespace.Do(func() error {
		process, err = n.lab.reaper.Start(argv, environment, dir, files)
		return err
	})
	return process, err
}

// startLogged starts a process with an empty standard input, that writes to the log at path.
func (n *node) startLogged(argv, env []string, dir, path string) (*reaper.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	return n.start(argv, env, dir, [3]*os.File{null, log, log})
}

// lookPath finds a program as execvp does, by the PATH of the new process.
func lookPath(program string, environment []string, dir string) (string, error) {
	if strings.Contains(program, "/") {
		if !filepath.IsAbs(program) {
			program = filepath.Join(dir, program)
		}
		return program, nil
	}
	var path string
	for _, variable := range environment {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = value // the last one counts, as in os/exec
		}
	}
	for _, directory := range filepath.SplitList(path) {
		if !filepath.IsAbs(directory) {
			continue
		}
		candidate := filepath.Join(directory, program)
		if found, err := exec.LookPath(candidate); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("no program %s in PATH %s: %w", program, path, unix.ENOENT)
}

// parameters are what the manifest's templates of a stack are filled in with.
func (n *node) parameters() impl.Parameters {
	plan, ports := n.plan.Stack, n.lab.plan.ClusterPorts
	advertising, selection := n.lab.plan.Advertising, n.lab.plan.Selection
	return impl.Parameters{
		Plex: n.lab.plan.Name, Stack: n.plan.Name,
		XCFAddress: plan.XCF, XCFInterface: plan.XCFInterface, Outside: plan.Outside,
		Profile:  filepath.Join(wire.NodePath(n.plan.Name), wire.ProfileName),
		PortFile: wire.PortFile, Control: wire.ControlPath(n.plan.Name), Key: wire.KeyPath,
		HelloMS: n.lab.plan.Timers.HelloMS, DeadMS: n.lab.plan.Timers.DeadMS,
		PoolFirst: ports.First, PoolLast: ports.Last, RestMS: ports.RestMS, Sharing: ports.Sharing,
		Advertising: cmp.Or(advertising.Method, topo.ByAddress), RoutingHelloS: advertising.HelloS,
		RoutingDeadS: advertising.DeadS, BFDMS: advertising.BFDMS,
		Selection: cmp.Or(selection.Method, topo.ByRoundRobin), PolicyAgent: selection.Agent, SelectionMS: selection.IntervalMS,
	}
}

// tail returns the last lines of a log, for an error.
func tail(path string) string {
	const lines, bytes = 10, 4096
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-bytes)
	text := make([]byte, info.Size()-from)
	read, _ := file.ReadAt(text, from)
	all := strings.Split(strings.TrimRight(string(text[:read]), "\n"), "\n")
	if from > 0 {
		all = all[1:] // begins in the middle
	}
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// withLog adds the last lines of a log to an error.
func withLog(err error, path string) error {
	if text := tail(path); text != "" {
		return fmt.Errorf("%w; the end of its log:\n%s", err, text)
	}
	return fmt.Errorf("%w; its log is empty", err)
}

// errEnded is wrapped where a process ended that should have stayed.
var errEnded = errors.New("ended")
