package wire

import (
	"fmt"
	"strings"
)

// Where things are in a lab. Root is a tmpfs in the mount namespace of the supervisor; from
// outside it is below /proc/PID/root.
const (
	Root       = "/dev/shm"
	SocketPath = Root + "/lab.sock"       // where the supervisor takes requests
	LogPath    = Root + "/supervisor.log" // its own log
	KeyPath    = Root + "/key"            // the plex key
	PortFile   = Root + "/ports"
	NodesPath  = Root + "/nodes" // NODE/..., see NodePath
)

// Files of a node, below NodePath.
const (
	ProfileName = "profile"
	ControlName = "control.sock"
	StackLog    = "stack.log"
	AppsName    = "apps" // NAME/ with the files of an application, NAME.log
	// Of a router's BIRD.
	BirdConfig  = "bird.conf"
	BirdControl = "bird.ctl"
	BirdLog     = "bird.log"
)

// NodePath is the directory of a node's files.
func NodePath(node string) string { return NodesPath + "/" + node }

// ControlPath is the control socket of a stack.
func ControlPath(stack string) string { return NodePath(stack) + "/" + ControlName }

// abstractPrefix begins the names of all labs' abstract sockets.
const abstractPrefix = "@plexlab/"

// AbstractName is the name of the abstract Unix socket by which a lab is found, in the
// network namespace that the lab was started from. It carries no data.
func AbstractName(uid int, lab string) string {
	return fmt.Sprintf("%s%d/%s", abstractPrefix, uid, lab)
}

// ParseAbstractName is the reverse of AbstractName.
func ParseAbstractName(name string) (uid int, lab string, ok bool) {
	rest, ok := strings.CutPrefix(name, abstractPrefix)
	if !ok {
		return 0, "", false
	}
	user, lab, ok := strings.Cut(rest, "/")
	if !ok || CheckLabName(lab) != nil {
		return 0, "", false
	}
	if _, err := fmt.Sscanf(user, "%d", &uid); err != nil || fmt.Sprint(uid) != user {
		return 0, "", false
	}
	return uid, lab, true
}

// CheckLabName says what is wrong with the name of a lab: 1 to 48 letters, digits and any of @#$._-
func CheckLabName(name string) error {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@#$._-", r)
	}
	if name == "" || len(name) > 48 || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }) {
		return fmt.Errorf("name of the lab %q: expected 1 to 48 letters, digits or @ # $ . _ -", name)
	}
	return nil
}
