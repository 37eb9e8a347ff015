// Local builds the services and runs them on this machine, with SQLite, on the loopback
// interface only. `make run` starts it. Its settings, with defaults:
//
//	USER_PORT, ORDER_PORT, …   ports (those in services/*/service.yaml)
//	DATA_DIR                   folder of the databases (./data)
//	AUTH=on                    require tokens, which make token prints (off)
//	USER_DATABASE_URL, …       other databases; [own] lists further such settings
//
// [passed] lists further variables that reach the services. The arguments are the names of
// variables given to make. Local prints a message about each that has no effect.
//
// The first Ctrl-C stops the services gracefully, the second one at once. The exit code is
// 0 if all were stopped, 1 after an error.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/example/microservices/internal/catalog"
)

// Linux sends the parent death signal when the thread that started a service ends, so start
// services from the main thread, which lasts as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs the services until a signal.
func start() error {
	services, err := catalog.Read(".")
	if err != nil {
		return err
	}
	settings, err := settingsFrom(services, os.Getenv)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	hurry := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		stop()
		<-signals
		close(hurry)
	}()
	r := runner{
		settings: settings,
		build:    build,
		environ:  os.Environ(),
		given:    os.Args[1:],
		out:      newOutput(os.Stdout, onTerminal(os.Stdout)),
		hurry:    hurry,
		patience: time.Minute,
		grace:    40 * time.Second, // twice the default of DRAIN_TIMEOUT
	}
	return r.run(ctx)
}
