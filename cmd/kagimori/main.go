// Command kagimori serves AWS's KMS, IAM, STS, EC2 and Auto Scaling APIs from one program, and
// says why a request was denied. `kagimori help` lists what it can do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() { os.Exit(Main()) }

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for could not be done
	exitUsage  = 2 // it was not clear, or not allowed, what was asked for
)

// stdio is what a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command line of the process and returns its exit code. The first interrupt or
// SIGTERM ends what runs in good order, a second one at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
}

// run runs one command line and returns its exit code. What went wrong is one sentence on
// standard error.
func run(ctx context.Context, args []string, io stdio) int {
	root := newRoot(io)
	root.SetArgs(args)
	cmd, err := root, error(nil)
	if slices.Contains(args, "--help") || slices.Contains(args, "-h") { // cobra explains the next best command
		err = misnamed(root, args)
	}
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return exitOK
	}
	e, coded := errors.AsType[exit](err)
	if coded && e.error == nil {
		return e.code
	}
	fmt.Fprintf(io.err, "kagimori: %v\n", err)
	if coded && !e.usage {
		return e.code
	}
	if _, ok := errors.AsType[failure](err); ok {
		return exitFailed
	}
	fmt.Fprintf(io.err, "Run '%s --help' for usage.\n", cmd.CommandPath())
	if coded {
		return e.code
	}
	return exitUsage
}

// An exit is the end of a command with exit codes of its own. It has no error if there is nothing to
// say, and usage if the error is one of usage.
type exit struct {
	code int
	error
	usage bool
}

// Unwrap gives the error.
func (e exit) Unwrap() error { return e.error }

// A failure is an error of work that was begun. Every other error of a command is one of usage.
type failure struct{ error }

// Unwrap gives the error.
func (f failure) Unwrap() error { return f.error }

// failed marks an error as a failure; nil stays nil.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}
