package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress tells a person what goes on: a line for each step with the time since the
// beginning, or, at a terminal, one line that is written anew.
type progress struct {
	to    *os.File
	live  bool
	quiet bool
	begun time.Time
}

func newProgress(to *os.File, quiet bool) *progress {
	return &progress{to: to, live: isTerminal(to), quiet: quiet, begun: time.Now()}
}

// step says what begins now.
func (p *progress) step(what string) {
	switch {
	case p.quiet:
	case p.live:
		fmt.Fprintf(p.to, "\r\033[K%7.3f s  %s", time.Since(p.begun).Seconds(), what)
	default:
		p.line(what)
	}
}

// done says how it ended; the line stays.
func (p *progress) done(what string) {
	if !p.quiet {
		p.clear()
		p.line(what)
	}
}

// clear takes a live line away, so that something else can be printed.
func (p *progress) clear() {
	if p.live && !p.quiet {
		fmt.Fprint(p.to, "\r\033[K")
	}
}

func (p *progress) line(what string) {
	fmt.Fprintf(p.to, "%7.3f s  %s\n", time.Since(p.begun).Seconds(), what)
}

// isTerminal says whether somebody looks at file.
func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
