package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench"
	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/plexlab/machine"
	"github.com/plexlab-dev/plexlab/topo"
)

// The exit statuses, documented in the help text and the README.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2   // command line, topology, profile or manifest
	exitMissing     = 3   // a right, a feature of the kernel, or room for what is written
	exitNotFound    = 4   // a laboratory, node or application
	exitInterrupted = 130 // as a shell has it for SIGINT
)

const exitStatusHelp = `Exit status: 0 done; 1 it failed; 2 the command line, or a topology, profile, manifest or key, is
wrong; 3 this machine lacks a right, a feature or a place to write to, which is named; 4 there is no
laboratory, node or application of that name; 130 it was interrupted. exec ends with the status of the command that it ran.`

// usageError is a mistake in the command line or in a file that it names.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// notFoundError names something that no laboratory has.
type notFoundError struct{ err error }

func (e notFoundError) Error() string { return e.err.Error() }
func (e notFoundError) Unwrap() error { return e.err }

func notFoundf(format string, args ...any) error { return notFoundError{fmt.Errorf(format, args...)} }

// outputError says that results cannot be written where they were to be.
type outputError struct{ err error }

func (e outputError) Error() string { return e.err.Error() }
func (e outputError) Unwrap() error { return e.err }

// kitError is a failure that has no status of its own, of a command whose status 1 speaks of an implementation.
type kitError struct{ err error }

func (e kitError) Error() string { return e.err.Error() }
func (e kitError) Unwrap() error { return e.err }

// blameKit keeps an error of a command that judges implementations from looking like a judgement.
func blameKit(err error) error {
	if err != nil && !as[statusError](err) && statusOf(err) == exitFailed {
		return kitError{err}
	}
	return err
}

// notFound makes an error that says ENOENT of a laboratory's own things a notFoundError. They are
// no files, whatever the errno's text says.
func notFound(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return notFoundf("%s", strings.TrimSuffix(err.Error(), ": "+unix.ENOENT.Error()))
	}
	return err
}

// statusError ends the program with the status of a command that it ran, and without a word.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// outcome is the exit status of an error, and what to tell about it.
func outcome(err error) (status int, message string) {
	if err == nil {
		return exitDone, ""
	}
	return statusOf(err), messageOf(err)
}

// messageOf is one line that begins with the program; mistakes in a topology are a line each, as
// a compiler has it, so that editors find their places.
func messageOf(err error) string {
	switch {
	case as[statusError](err):
		return ""
	case as[topo.Errors](err):
		return err.Error()
	case errors.Is(err, context.Canceled):
		return "plexlab: interrupted: " + err.Error()
	}
	return "plexlab: " + err.Error()
}

func statusOf(err error) int {
	var status statusError
	var refusal *certificate.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason.Code
	case errors.As(err, &status):
		return int(status)
	case as[usageError](err), as[topo.Errors](err), as[*impl.Error](err), as[*bench.UnknownPartError](err),
		as[*lab.OptionsError](err):
		return exitUsage
	case as[*lab.RefusedError](err), as[*machine.MissingError](err), as[outputError](err):
		return exitMissing
	case as[notFoundError](err):
		return exitNotFound
	case slices.ContainsFunc(lacking, func(number unix.Errno) bool { return errors.Is(err, number) }):
		return exitMissing
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case as[kitError](err):
		return certificate.EngineError.Code
	}
	return exitFailed
}

// lacking are the answers of a machine that lacks a right, or room.
var lacking = []unix.Errno{unix.EPERM, unix.EACCES, unix.EROFS, unix.ENOSPC, unix.EDQUOT}

func as[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
