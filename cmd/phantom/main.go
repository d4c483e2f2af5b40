// Command phantom is an AI co-worker with its own computer.
//
// This package owns the command line: one file a command, the exit codes, what
// a person reads, and the process's own hardening. It refuses unknown flags
// and arguments with exit code 2, and holds no logic of the parts it calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"phantom/internal/sandbox"
	"phantom/internal/secret"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// helperName is the hidden command under which the sandbox runs this program.
const helperName = "sandbox-exec"

func main() {
	if len(os.Args) > 1 && os.Args[1] == helperName {
		os.Exit(sandbox.Helper(os.Args[2:]))
	}
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "phantom:", err)
		os.Exit(exitFailed)
	}
	tuneMemory()
	ctx, stop := notify(context.Background())
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr, version: version()}
	root := c.rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	// It may quote a model, a host, or an argument that was meant for another.
	fmt.Fprintln(stderr, "phantom:", printable(secret.NewRedactor().String(err.Error())))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// notify returns a context that ends at the first SIGINT or SIGTERM; a second
// one ends the process at once.
func notify(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if _, open := <-signals; !open {
			return
		}
		cancel()
		if _, open := <-signals; open {
			os.Exit(exitFailed)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

// version is the module's own, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "dev-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "dev"
}
