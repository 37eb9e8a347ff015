// Local builds the services and runs them on this machine, on SQLite files and
// on loopback only. It is what `make run` starts:
//
//	USER_PORT, ORDER_PORT, …   their ports (as services/*/service.yaml say)
//	DATA_DIR                   the folder of their databases (./data)
//	AUTH=on                    they want tokens, which make token prints
//	USER_DATABASE_URL, …       databases elsewhere; more such settings: see [own]
//
// The first Ctrl-C stops them in their own time, the second one at once. The
// exit code is 0 when all were stopped, 1 when something went wrong.
//
// Other variables that reach the services: see [passed]. The arguments are the names
// of the variables that make was given: one that reaches nothing is named.
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

// The services are to end with this process however it ends, and Linux ties
// that to the thread that started them. The main thread lasts.
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
		grace:    40 * time.Second, // DRAIN_TIMEOUT's default, and as much again
	}
	return r.run(ctx)
}
