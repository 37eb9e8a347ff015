// Bench compares the services with other programs, side by side. It writes the figures to
// bench/RESULTS.md, and the details to bench/notes.
//
//	go run ./bench [-only name,name] [-quick] [-overload 15s] [-before commit] [-profile folder]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// benchmark is a section of the results, which can be measured and written alone.
type benchmark struct {
	name string
	run  func(context.Context, *group) section
	// asked means that the benchmark runs only if named.
	asked bool
}

// benchmarks are all benchmarks, in the order of the results.
var benchmarks = []benchmark{
	{name: "get", run: benchGet},
	{name: "list", run: benchList},
	{name: "post", run: benchPost},
	{name: "order", run: benchOrder},
	{name: "refuse", run: benchRefuse},
	{name: "telemetry", run: benchTelemetry},
	{name: "pages", run: benchPages},
	{name: "deep", run: benchDeep, asked: true}, // ten million rows
	{name: "start", run: benchStart},
	{name: "memory", run: benchMemory},
	{name: "breaker", run: benchBreaker},
	{name: "overload", run: benchOverload},
	{name: "attack-sqlite", run: attackOn(onSQLite)},
	{name: "attack-postgres", run: attackOn(onPostgres)},
	{name: "cluster", run: benchCluster},
	{name: "before", run: benchBefore, asked: true},
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", os.Getenv("ONLY"), "the sections to measure and write, such as get,post")
	quick := flags.Bool("quick", false, "shorter and with fewer rows: a first impression, printed only")
	overload := flags.Duration("overload", 0, "the duration of an overload; 0 is 15s, or 5s with -quick")
	before := flags.String("before", "", "a commit to compare user-service with, and nothing else: printed only")
	profile := flags.String("profile", "", "folder for CPU profiles of the services: printed only, and slower")
	err = flags.Parse(args)
	if err != nil {
		return err
	}
	if *before != "" {
		*only = "before"
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	err = needPostgres(ctx, root)
	if err != nil {
		return err
	}
	s := fullSize
	if *quick {
		s = quickSize
	}
	if *overload > 0 {
		s.overload = *overload
	}
	l, err := newLab(ctx, root, s, *profile, *before)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := results{root: root, printed: *quick || *before != "" || *profile != "", commit: output(ctx, "git", "describe", "--always", "--dirty")}
	for _, b := range chosen {
		began := time.Now()
		fmt.Fprintln(os.Stderr, began.Format(time.TimeOnly), b.name)
		s, err := l.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		err = r.write(b.name, s, time.Since(began))
		if err != nil {
			return err
		}
	}
	return r.summarize(describeMachine(ctx, l))
}

// choose returns the benchmarks in a list of names; "" is all that don't have to be named.
func choose(list string) (chosen []benchmark, err error) {
	wanted := strings.Split(list, ",")
	for _, b := range benchmarks {
		i := slices.Index(wanted, b.name)
		if i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
		}
		if i >= 0 || list == "" && !b.asked {
			chosen = append(chosen, b)
		}
	}
	if list != "" && len(wanted) > 0 {
		var names []string
		for _, b := range benchmarks {
			names = append(names, b.name)
		}
		return nil, fmt.Errorf("there is no benchmark %q; there are %s", wanted[0], strings.Join(names, ", "))
	}
	return chosen, nil
}
