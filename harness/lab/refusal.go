package lab

import (
	"errors"
	"os"
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

// mapOneUser gives the process a user namespace, in which the caller is root. Only the
// caller's own user and group exist there: programs that switch to others fail.
func mapOneUser(attributes *syscall.SysProcAttr) {
	attributes.Cloneflags |= unix.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
}

// refusal says what the kernel misses when it does not create the supervisor's namespaces;
// empty if it is another error.
func refusal(err error, rootless bool) string {
	asRoot := "; or run it as root"
	switch {
	case !rootless && errors.Is(err, unix.EPERM):
		return "this is root without the right to create namespaces, as in a container (docker run --privileged)"
	case errors.Is(err, unix.ENOSPC):
		for _, kind := range []string{"user", "pid", "mnt"} {
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
