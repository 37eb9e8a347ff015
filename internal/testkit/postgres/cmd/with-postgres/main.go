// With-postgres runs a command with a new PostgreSQL server, whose URL is in
// TEST_POSTGRES_URL:
//
//	with-postgres [-no-fsync] -- go test ./...
//
// It forwards signals, exits with the command's exit code (128 + the signal's number if
// one ended it), and always stops and removes the server. Its own failures have exit code
// 125.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/example/microservices/internal/testkit/postgres"
)

// exitOwn is the exit code of its own failures, as in env(1), nohup(1) and docker.
const exitOwn = 125

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-postgres:", err)
	}
	os.Exit(code)
}

// run starts the server, runs the command in args and returns its exit code.
func run(ctx context.Context, args []string) (code int, err error) {
	flags := flag.NewFlagSet("with-postgres", flag.ContinueOnError)
	noFsync := flags.Bool("no-fsync", false, "don't wait for the disk: faster, and unlike production")
	find := flags.Bool("find", false, "only print the folder of PostgreSQL's programs, or fail if there are none")
	err = flags.Parse(args)
	if err != nil {
		return exitOwn, err
	}
	if *find {
		installation, err := postgres.Find(ctx)
		if err != nil {
			return exitOwn, err
		}
		fmt.Println(installation.Bin)
		return 0, nil
	}
	if flags.NArg() == 0 {
		return exitOwn, errors.New("usage: with-postgres [-no-fsync] -- command [argument...], or with-postgres -find")
	}
	// From here on, so that a signal during the start doesn't skip the clean-up.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	server, err := postgres.Start(ctx, postgres.Options{NoFsync: *noFsync})
	if err != nil {
		return exitOwn, err
	}
	defer func() {
		stopErr := server.Stop()
		if stopErr != nil {
			err = errors.Join(err, stopErr)
			code = max(code, 1)
		}
	}()
	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), postgres.EnvURL+"="+server.URL("postgres"))
	return await(command, signals)
}

// await runs the command to its end, and forwards signals to it.
func await(command *exec.Cmd, signals <-chan os.Signal) (int, error) {
	err := command.Start()
	if err != nil {
		return exitOwn, err
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig == os.Interrupt && onTerminal() {
				continue // the terminal sends Ctrl-C to the whole foreground group
			}
			_ = command.Process.Signal(sig) // fails only if it has ended
		case err := <-done:
			return exitCode(err)
		}
	}
}

// exitCode converts the error of [exec.Cmd.Wait] to a shell's exit code.
func exitCode(err error) (int, error) {
	if err == nil {
		return 0, nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return exitOwn, err
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// onTerminal reports whether standard input is a terminal.
func onTerminal() bool {
	info, err := os.Stdin.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != os.DevNull
}
