package topo

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

func (p *planner) readApplications() {
	names := map[string]bool{}
	for i, a := range p.topology.Applications {
		at := path("/applications").at(i)
		if err := profile.CheckApplication(a.Name); err != nil {
			p.fail(at.at("name"), "found %.40q, expected the name of an application: %s", a.Name, nameRule)
		} else if names[strings.ToUpper(a.Name)] {
			p.fail(at.at("name"), "found a second application %s, expected each name once; on lists the nodes that run it", a.Name)
		}
		names[strings.ToUpper(a.Name)] = true
		if len(a.Command) == 0 || a.Command[0] == "" {
			p.fail(at.at("command"), "found no program, expected a command")
		}
		for _, name := range slices.Sorted(maps.Keys(a.Files)) {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
				p.failKey(at.at("files", name), "found %.60q, expected the name of a file below {{.Dir}}", name)
			}
		}
		if len(a.On) == 0 {
			p.fail(at.at("on"), "found no node, expected the stacks or hosts that run %s", a.Name)
		}
		p.placeOn(i, at)
	}
}

// placeOn puts the i-th application on its nodes.
func (p *planner) placeOn(i int, at path) {
	a := p.topology.Applications[i]
	placed := map[int]bool{}
	for j, name := range a.On {
		n, known := p.nodes[strings.ToUpper(name)]
		switch {
		case !known || p.plan.Nodes[n].Kind == KindRouter:
			p.fail(at.at("on", j), "found %.40q, expected the name of a stack or host", name)
			continue
		case placed[n]:
			p.fail(at.at("on", j), "found %s a second time, expected each node once", name)
			continue
		}
		placed[n] = true
		node := &p.plan.Nodes[n]
		// The first node stands for all in errors of templates: they are the same for each.
		first := len(placed) == 1
		planned := PlanApplication{Name: strings.ToUpper(a.Name)}
		for k, word := range a.Command {
			planned.Command = append(planned.Command, p.expand(at.at("command", k), word, node.Name, first))
		}
		for file, content := range a.Files {
			if planned.Files == nil {
				planned.Files = map[string]string{}
			}
			planned.Files[file] = p.expand(at.at("files", file), content, node.Name, first)
		}
		node.Applications = append(node.Applications, planned)
	}
}

// template is anything in double braces; the groups are a name and an operand in quotes. It is compiled when it is first
// wanted: supervisors of labs get plans that are expanded.
var template = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\{(?:\s*\.(\w+)(?:\s+"([^"{}]*)")?\s*\}\})?`)
})

// expand replaces the templates of a text but {{.Dir}}, and reports wrong ones if told to.
func (p *planner) expand(at path, text, node string, report bool) string {
	return template().ReplaceAllStringFunc(text, func(found string) string {
		parts := template().FindStringSubmatch(found)
		name, operand := parts[1], parts[2]
		bare := !strings.Contains(found, `"`)
		a, known := p.symbols[strings.ToUpper(operand)]
		switch {
		case name == "Dir" && bare:
			return "{{.Dir}}"
		case name == "Stack" && bare:
			return node
		case name == "Address" && known:
			return a.String()
		case !report:
		case name == "Address":
			p.fail(at, "found %s, expected one of the symbols %s", found, strings.Join(slices.Sorted(maps.Keys(p.symbols)), ", "))
		default:
			p.fail(at, `found %s, expected {{.Dir}}, {{.Stack}} or {{.Address "SYMBOL"}}`, found)
		}
		return fmt.Sprintf("%q", found)
	})
}
