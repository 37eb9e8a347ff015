// Bench measures the services side by side with what they are held against,
// and writes what it finds to bench/RESULTS.md.
//
//	go run ./bench [-quick] [-only name,name] [-overload 60s] [-before commit] [-profile folder]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/example/microservices/bench/pg"
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

// benchmarks are all there are, in the order of the report.
var benchmarks = []struct {
	name string
	run  func(context.Context, *lab) (section, error)
}{
	{"get", benchGet},
	{"auth", benchAuth},
	{"telemetry", benchTelemetry},
	{"post", benchPost},
	{"orders", benchOrders},
	{"pages", benchPages},
	{"start", benchStart},
	{"memory", benchMemory},
	{"breaker", benchBreaker},
	{"overload", benchOverload},
	{"attack", benchAttack},
	{"cluster", benchCluster},
	{"before", benchBefore},
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "shorter and with fewer rows: a first impression, printed only")
	only := flags.String("only", "", "the benchmarks to run, such as get,post: printed only")
	overload := flags.Duration("overload", 0, "how long too much is asked for; 0 is 60s, or 5s with -quick")
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
	err = pg.Need(ctx, root)
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

	began := time.Now()
	report := report{machine: describeMachine(ctx, l)}
	for _, b := range benchmarks {
		if !chosen[b.name] {
			continue
		}
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), b.name)
		idle, err := idleShare(ctx)
		if err != nil {
			return err
		}
		report.idle = append(report.idle, idle*100)
		s, err := b.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		s.name = b.name
		report.sections = append(report.sections, s)
	}
	report.took = time.Since(began)
	if *quick || *only != "" || *profile != "" {
		fmt.Print(report.markdown())
		return nil
	}
	path := filepath.Join(root, "bench", "RESULTS.md")
	err = os.WriteFile(path, []byte(report.markdown()), 0o644)
	if err != nil {
		return err
	}
	fmt.Print(report.warning() + report.summary())
	fmt.Println("\nwritten to", path)
	return nil
}

// choose returns the names in a list, all when it is empty.
func choose(list string) (map[string]bool, error) {
	chosen := map[string]bool{}
	var names []string
	for _, b := range benchmarks {
		names = append(names, b.name)
		chosen[b.name] = list == "" && b.name != "before"
	}
	if list == "" {
		return chosen, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		_, known := chosen[name]
		if !known {
			return nil, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen[name] = true
	}
	return chosen, nil
}
