package supervisor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// mountAll makes the file systems of the lab, in the mount namespace that this process has
// to itself. The result says in words what had to be left out.
func mountAll(name string) (limits []string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private%s: %w", hint(err), err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		if !errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("mount /proc: %w", err)
		}
		// In a user namespace the kernel refuses a fresh /proc where something is mounted over
		// parts of the one that is seen (mount_too_revealing of fs/namespace.c): a container
		// that hides things there. The outer /proc stays and shows the lab's processes under other numbers.
		limits = append(limits, "/proc is that of outside: the kernel refuses a fresh one where parts of it are hidden, as in a container")
	}
	// A private /dev/shm gives programs that use POSIX shared memory the isolation they expect
	// of a machine, and hides nothing of the host's that a program could need.
	if err := unix.Mount("plexlab/"+name, wire.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return nil, fmt.Errorf("mount a tmpfs on %s%s: %w", wire.Root, hint(err), err)
	}
	return limits, nil
}

// hint names what usually stands behind a refusal.
func hint(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return " (a user namespace without capabilities, as AppArmor's kernel.apparmor_restrict_unprivileged_userns=1 gives, or a container's restriction)"
	}
	return ""
}
