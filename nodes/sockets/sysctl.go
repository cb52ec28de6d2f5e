package sockets

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sysctl is a setting of a network namespace, the one that it was opened in, that may change.
type sysctl struct{ file *os.File }

func openSysctl(path string) (sysctl, error) {
	file, err := os.Open("/proc/sys/" + path)
	if err != nil {
		return sysctl{}, fmt.Errorf("read setting: %w", err)
	}
	return sysctl{file}, nil
}

func (s sysctl) close() { s.file.Close() }

// numbers reads into all, which must be as many as the setting has.
func (s sysctl) numbers(all ...*int) error {
	b := make([]byte, 64)
	n, err := s.file.ReadAt(b, 0)
	if n == 0 {
		return fmt.Errorf("read setting: %w", err)
	}
	fields := strings.Fields(string(b[:n]))
	if len(fields) != len(all) {
		return fmt.Errorf("setting %s has %d numbers, expected are %d", s.file.Name(), len(fields), len(all))
	}
	for i, field := range fields {
		if *all[i], err = strconv.Atoi(field); err != nil {
			return fmt.Errorf("setting %s: %w", s.file.Name(), err)
		}
	}
	return nil
}
