// Command plexlab builds a virtual Sysplex on one Linux machine, looks into it and breaks it.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "unknown"

func main() {
	addSystemPath()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// addSystemPath adds the directories of system programs to PATH, which an ordinary user's does not
// always have: nft and many servers are there, and what runs in a laboratory inherits it.
func addSystemPath() {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !slices.Contains(filepath.SplitList(path), dir) {
			path += string(filepath.ListSeparator) + dir
		}
	}
	// It fails for a name or a value with a zero byte only.
	_ = os.Setenv("PATH", path)
}
