// Command plexlab builds a virtual Sysplex on one Linux machine, looks into it and breaks it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/plexlab-dev/plexlab/harness/systempath"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "unknown"

func main() {
	systempath.Add()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
