// Package sysctl makes settings of the kernel (sysctl(8)).
package sysctl

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Set gives a setting a value; key is its path below /proc/sys, and those below "net" are those of the network namespace that
// the calling thread is in. A setting that has the value already is left alone, also where it could not be written: writing some
// (net/ipv6/addrconf.c) takes the lock of all network configuration of the machine, on which the kernel waits by trying
// again and again. The error is the errno of the open or the write, such as ENOENT for a setting that this kernel does
// not have, and EROFS or EACCES without the privilege.
//
// It takes four system calls. os.ReadFile and os.WriteFile take sixteen, and a stack and its machine have a hundred settings.
func Set(key, value string) error {
	path := filepath.Join("/proc/sys", key)
	fd, refused := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(refused, unix.EROFS) || errors.Is(refused, unix.EACCES) {
		fd, _ = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if fd < 0 {
		return refused
	}
	defer unix.Close(fd)
	var old [64]byte
	if n, err := unix.Read(fd, old[:]); err == nil && strings.TrimSpace(string(old[:n])) == value {
		return nil
	}
	if refused != nil {
		return refused
	}
	_, err := unix.Pwrite(fd, []byte(value), 0)
	return err
}
