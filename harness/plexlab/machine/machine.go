// Package machine says whether this machine can run a laboratory: it tries each feature of
// the kernel that one needs, in namespaces of its own, and names what is missing.
package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// A Feature is one thing that a laboratory needs.
type Feature struct {
	// Name of the feature, as the kernel's documentation has it.
	Name string `json:"name"`
	// Use says what it is needed for.
	Use string `json:"use"`
	// Missing is empty if the feature is there; else what the kernel answered.
	Missing string `json:"missing,omitempty"`
	// Remedy says what to do about it; empty if it is there.
	Remedy string `json:"remedy,omitempty"`
}

// A MissingError lists what this machine lacks.
type MissingError struct{ Features []Feature }

// Error names every missing feature in one line, with what to do.
func (e *MissingError) Error() string {
	words := make([]string, len(e.Features))
	for i, f := range e.Features {
		words[i] = fmt.Sprintf("%s (%s; for %s): %s", f.Name, f.Missing, f.Use, f.Remedy)
	}
	return "this machine lacks " + strings.Join(words, "; ")
}

// Check tries every feature. inside is the command that calls Inside in a new process. The
// features are returned in any case; the error is a MissingError if one is not there.
// Privilege: root, or the right to make user namespaces.
func Check(ctx context.Context, inside []string) ([]Feature, error) {
	namespaces := Feature{Name: "namespaces of users, processes, mounts and networks", Use: "everything"}
	output, err := runInNamespaces(ctx, inside)
	if err != nil {
		namespaces.Missing, namespaces.Remedy = err.Error(), namespaceRemedy()
		return []Feature{namespaces}, &MissingError{[]Feature{namespaces}}
	}
	features := []Feature{namespaces}
	var tried []Feature
	if err := json.Unmarshal(output, &tried); err != nil {
		return features, fmt.Errorf("read what was tried inside the namespaces: %w", err)
	}
	features = append(features, tried...)
	var missing []Feature
	for _, f := range features {
		if f.Missing != "" {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return features, &MissingError{missing}
	}
	return features, nil
}

// runInNamespaces runs a command as a laboratory's supervisor is run, and returns its output.
func runInNamespaces(ctx context.Context, command []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return output, err
}

// namespaceRemedy looks at the switches that forbid namespaces and names the one that is set.
func namespaceRemedy() string {
	if os.Geteuid() == 0 {
		return "give this container the capability CAP_SYS_ADMIN and a seccomp profile that allows clone and unshare"
	}
	for _, setting := range []struct{ path, forbidden, remedy string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"},
	} {
		value, err := os.ReadFile(setting.path)
		if err == nil && strings.TrimSpace(string(value)) == setting.forbidden {
			return "run as root: " + setting.remedy + "; or run plexlab with sudo"
		}
	}
	return "run it with sudo"
}
