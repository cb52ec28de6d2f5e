package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// privileged reports whether this process may build a lab as it is: with CAP_SYS_ADMIN for
// namespaces and mounts, and CAP_NET_ADMIN for links.
func privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	return data[0].Effective&needed == needed
}

// giveNamespaces gives a command the namespaces of a supervisor. Without the privilege there is a
// user namespace among them, in which the caller is root. Only the caller's own user and group
// exist there: programs that switch to others fail.
func giveNamespaces(command *exec.Cmd) (rootless bool) {
	attributes := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	command.SysProcAttr = attributes
	if rootless = !privileged(); rootless {
		attributes.Cloneflags |= unix.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return rootless
}

// Try runs a program in namespaces such as a lab has, the network namespace of a node among
// them, and returns its output. Privileges and *RefusedError are those of Up. The program ends
// with the caller, or when ctx does.
func Try(ctx context.Context, argv []string) ([]byte, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	rootless := giveNamespaces(command)
	command.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	command.SysProcAttr.Pdeathsig = unix.SIGKILL
	var stderr lastWords
	command.Stderr = &stderr
	output, err := command.Output()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return output, nil
	case errors.As(err, &ended):
		return nil, fmt.Errorf("%s in namespaces of a lab: %w: %s", argv[0], err, stderr.String())
	}
	if reason := refusal(err, rootless); reason != "" {
		return nil, &RefusedError{Reason: reason, Err: err}
	}
	return nil, fmt.Errorf("%s in namespaces of a lab: %w", argv[0], err)
}

// refusal says what the kernel misses when it does not create the supervisor's namespaces;
// empty if it is another error.
func refusal(err error, rootless bool) string {
	asRoot := ""
	if rootless {
		asRoot = "; or run it as root"
	}
	switch {
	case !rootless && errors.Is(err, unix.EPERM):
		return "this is root without the right to create namespaces, as in a container (docker run --privileged)"
	case errors.Is(err, unix.ENOSPC):
		for _, kind := range []string{"user", "pid", "mnt", "net"} {
			key := "user.max_" + kind + "_namespaces"
			if sysctl(key) == "0" {
				return "the kernel allows no " + kind + " namespaces here; sysctl " + key + "=15000 does" + asRoot
			}
		}
		return "the kernel's limit of namespaces is reached (user.max_*_namespaces), or they are nested too deep"
	case errors.Is(err, unix.EINVAL) && rootless:
		return "the kernel lacks user namespaces (CONFIG_USER_NS)" + asRoot
	case (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) && rootless:
		switch {
		case sysctl("kernel.unprivileged_userns_clone") == "0":
			return "user namespaces are for root only here; sysctl kernel.unprivileged_userns_clone=1 opens them" + asRoot
		case sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
			return "AppArmor restricts user namespaces; sysctl kernel.apparmor_restrict_unprivileged_userns=0 opens them" + asRoot
		}
		return "creating a user namespace is not allowed here, as by the seccomp filter of a container" + asRoot
	}
	return ""
}

// sysctl reads a kernel setting; empty where the kernel does not have it.
func sysctl(key string) string {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
