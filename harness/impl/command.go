package impl

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
)

// Parameters are what the templates of a manifest may name. The harness has checked all of
// them and has created what they point to, except Control and PortFile, which the
// implementation creates. Paths are absolute and valid inside the lab.
type Parameters struct {
	// Plex is the name of the plex, 1 to 16 characters.
	Plex string
	// Stack is the name of the stack, unique in the plex.
	Stack string
	// XCFAddress is the address of the stack on the inter-stack network; XCFInterface, the link
	// to it, has that address and is up.
	XCFAddress   netip.Addr
	XCFInterface string
	// Outside are the links to the outside, up, with their addresses; empty for an inside stack.
	// In a template: {{join .Outside ","}}.
	Outside []string
	// Profile is the path of the VIPADYNAMIC profile; the file is empty for a stack without one.
	Profile string
	// PortFile is the path of the plex's port file, the same for every stack. The first who needs
	// it creates it.
	PortFile string
	// Control is the path at which the stack serves its control API. Nothing is there at the
	// start: what an earlier process of the stack left is removed.
	Control string
	// Key is the path of the plex key, in the form that contract.ParseKey reads: 64 hexadecimal
	// digits and a line feed.
	Key string
	// HelloMS and DeadMS are milliseconds between two HELLOs, and of silence until a member is
	// lost; 0 leaves them to the implementation's defaults, 50 and 500.
	HelloMS int
	DeadMS  int
	// PoolFirst and PoolLast bound the ports that port 0 of a DVIPA with CLUSTERPORTS is served
	// from: 1 <= PoolFirst <= PoolLast. RestMS is how long a freed port rests that carried outbound
	// connections, in milliseconds; 0 is not at all.
	PoolFirst, PoolLast uint16
	RestMS              int
	// Sharing is how the stacks share ports: "port-file", or "distributor" for a plex in which the
	// owner of a DVIPA keeps its table.
	Sharing string
	// Advertising is how the network is told of DVIPAs (Figure 10, block 104): address, ospf or rip. Of
	// a routing protocol, RoutingHelloS and RoutingDeadS are the seconds between two hellos of OSPF or
	// updates of RIP, and of silence until a neighbour is lost; BFDMS the milliseconds between two packets of
	// BFD, five of which may be missing. The routers have the same. 0 with address.
	Advertising   string
	RoutingHelloS int
	RoutingDeadS  int
	BFDMS         int
	// Selection is how the weights come about by which connections are distributed: roundrobin (those of
	// the profile), wlm (by the load that stacks report) or agent (asked of the policy agent that listens
	// on the Unix socket PolicyAgent; empty otherwise). SelectionMS is milliseconds between two reports, and two
	// questions; 0 with roundrobin.
	Selection   string
	PolicyAgent string
	SelectionMS int
	// Variant is the reading of Figure 5 to follow; empty stands for the manifest's own.
	Variant Variant
	// App is the name of the application, 1 to 8 characters; empty when a stack is started.
	App string
}

// fields are what a template sees: the parameters, and where the manifest lies.
type fields struct {
	Parameters
	Dir string
}

// StartCommand is the command of a stack. It fails only where a template leaves an empty
// program.
func (m *Manifest) StartCommand(p Parameters) ([]string, error) {
	return m.command("start", m.Start, p)
}

// FindProgram says whether the program of a stack's command is there and may be run; the error
// matches os.ErrNotExist or os.ErrPermission. It looks as the stack's start will: below the
// directory of the manifest for a path, in PATH for a name.
func (m *Manifest) FindProgram(p Parameters) error {
	_, err := m.program("start", m.Start, p)
	return err
}

// Programs are the paths of the programs that the manifest's commands start, that of a stack first, each once. It fails
// as FindProgram does.
func (m *Manifest) Programs() ([]string, error) {
	var paths []string
	for _, command := range m.commands() {
		if len(command.templates) == 0 {
			continue
		}
		path, err := m.program(command.name, command.templates, Parameters{})
		if err != nil {
			return nil, fmt.Errorf("%s command of implementation %s: %w", command.name, m.Name, err)
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// program is the path of a command's program.
func (m *Manifest) program(name string, templates []string, p Parameters) (string, error) {
	argv, err := m.command(name, templates, p)
	if err != nil {
		return "", err
	}
	path, err := exec.LookPath(argv[0])
	var search *exec.Error
	if errors.As(err, &search) {
		if errors.Is(search.Err, exec.ErrNotFound) {
			return "", fmt.Errorf("program %s is not in PATH: %w", argv[0], os.ErrNotExist)
		}
		return "", fmt.Errorf("program %s: %w", argv[0], search.Err)
	}
	return path, err
}

// LaunchCommand is the command that runs application argv on a stack; argv is not empty.
func (m *Manifest) LaunchCommand(p Parameters, argv []string) ([]string, error) {
	if len(m.Launch) == 0 {
		return argv, nil
	}
	launcher, err := m.command("launch", m.Launch, p)
	if err != nil {
		return nil, err
	}
	return append(launcher, argv...), nil
}

// ClaimCommand is the command of a claimer; the manifest has one. Of the parameters, it is told
// those that concern the port file: Plex, Stack, XCFAddress, PortFile, PoolFirst, PoolLast and RestMS.
func (m *Manifest) ClaimCommand(p Parameters) ([]string, error) {
	return m.command("claim", m.Claim, p)
}

// A commandTemplate is a command as the manifest has it, under its key.
type commandTemplate struct {
	name      string
	templates []string
}

// commands are all that a manifest may have; what it lacks is empty.
func (m *Manifest) commands() []commandTemplate {
	return []commandTemplate{{"start", m.Start}, {"launch", m.Launch}, {"claim", m.Claim}}
}

// command fills in the templates. A program with a slash in its name is a path, below the directory of the manifest
// where it is relative, and is cleaned, so that process lists show where it really is.
func (m *Manifest) command(name string, templates []string, p Parameters) ([]string, error) {
	if p.Variant == "" {
		p.Variant = m.Variant
	}
	argv := make([]string, len(templates))
	for i, text := range templates {
		if !strings.Contains(text, "{{") {
			argv[i] = text
			continue
		}
		parsed, err := parseArgument(text)
		if err != nil {
			return nil, fmt.Errorf("%s command of implementation %s: %w", name, m.Name, err)
		}
		var filled strings.Builder
		if err := parsed.Execute(&filled, fields{Parameters: p, Dir: m.Dir}); err != nil {
			return nil, fmt.Errorf("%s command of implementation %s: %w", name, m.Name, err)
		}
		argv[i] = filled.String()
	}
	if argv[0] == "" {
		return nil, fmt.Errorf("%s command of implementation %s: the program is empty", name, m.Name)
	}
	if strings.Contains(argv[0], "/") {
		if !filepath.IsAbs(argv[0]) {
			argv[0] = filepath.Join(m.Dir, argv[0])
		}
		argv[0] = filepath.Clean(argv[0])
	}
	return argv, nil
}

// parsedArguments are the templates of arguments by their text: the stacks of a lab have the same.
var parsedArguments sync.Map

// parseArgument parses one argument of a command.
func parseArgument(text string) (*template.Template, error) {
	if parsed, known := parsedArguments.Load(text); known {
		return parsed.(*template.Template), nil
	}
	functions := template.FuncMap{"join": strings.Join}
	parsed, err := template.New("argument").Funcs(functions).Option("missingkey=error").Parse(text)
	if err == nil {
		parsedArguments.Store(text, parsed)
	}
	return parsed, err
}

// tryCommand looks for templates that cannot work whatever the parameters are, and returns
// the first one's place.
func tryCommand(templates []string) (int, error) {
	for i, text := range templates {
		parsed, err := parseArgument(text)
		if err == nil {
			err = parsed.Execute(io.Discard, fields{})
		}
		if err != nil {
			return i, fmt.Errorf("argument %q: %s", text, strings.TrimPrefix(err.Error(), "template: "))
		}
	}
	return 0, nil
}
