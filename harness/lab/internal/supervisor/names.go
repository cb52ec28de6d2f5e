package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
)

// namesDir is where ip-netns(8) looks for names.
const namesDir = "/run/netns"

// nameNamespaces gives every node a name for `ip netns exec`, LAB-NODE. It is a symbolic
// link to this process's descriptor: unlike a mount it keeps nothing alive, and after an end
// out of order it points to nowhere.
func (s *supervisor) nameNamespaces() error {
	// What outside calls this process: seen from the host's /proc, which the link is read in.
	if err := os.MkdirAll(namesDir, 0o755); err != nil {
		return fmt.Errorf("names of namespaces: %w", err)
	}
	for _, n := range s.order {
		target := fmt.Sprintf("/proc/%d/fd/%d", s.setup.Pid, n.namespace.FD())
		if err := os.Symlink(target, s.namePath(n)); err != nil {
			return fmt.Errorf("name the namespace of %s: %w", n.plan.Name, err)
		}
	}
	return nil
}

// removeNames removes them.
func (s *supervisor) removeNames() {
	if !s.setup.Names {
		return
	}
	for _, n := range s.order {
		if err := os.Remove(s.namePath(n)); err != nil {
			s.log.Warn("remove the name of a namespace", "error", err)
		}
	}
}

// namePath is the name of a node's namespace.
func (s *supervisor) namePath(n *node) string {
	return filepath.Join(namesDir, s.setup.Name+"-"+n.plan.Name)
}
