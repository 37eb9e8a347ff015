// Package service is the life of a service's process: its subcommands, its
// configuration, start, readiness, drain and stop.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/database/transfer"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/telemetry"
)

// The exit codes of a program.
const (
	ExitOK = 0
	// ExitFailure: it could not do what it was asked to.
	ExitFailure = 1
	// ExitUsage: the arguments or the configuration are wrong. Trying again
	// without changing them is of no use.
	ExitUsage = 2
	// ExitCutOff: it stopped as asked, but requests were still in flight when
	// DRAIN_TIMEOUT had passed, and were cut off.
	ExitCutOff = 3
	// ExitSignal + n: a second signal, of number n, ended it at once.
	ExitSignal = 128
)

// Program is a service, as its main describes it.
type Program struct {
	// Name is the service's, such as "user-service"; Summary says in one line
	// what it does.
	Name, Summary string
	// Config points to the struct that the environment is read into. It embeds
	// this package's Config.
	Config interface{ Common() *Config }
	// Data is what the service keeps.
	Data transfer.Store
	// Store opens the store that DATABASE_URL names.
	Store func(context.Context) (Store, error)
	// Describe adds the operations to an API that only describes them.
	Describe func(*httpapi.API)
	// Open opens what the service needs, and adds the operations to rt.API. It is tried
	// again for a while when it fails with database.ErrUnavailable.
	Open func(ctx context.Context, rt *Runtime) error
	// Extra are subcommands of the service's own. They write to the writer.
	Extra map[string]func(context.Context, io.Writer) error

	// log is where lines of the log go instead of the output of the commands;
	// nil is there, too.
	log *telemetry.Output
}

// version is set by the linker where there is no version control to ask.
var version string

// Version returns the version of this build: what the linker was told, the
// module's version, or the commit it was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}

// Main does what the arguments (without the program's name) say, and returns
// the code to exit with.
func (p Program) Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	rest := args[min(1, len(args)):]
	commands := p.commands(stdout, rest)
	run, known := commands[command]
	if !known || !takes(command, len(rest)) {
		var forms []string
		for _, name := range slices.Sorted(maps.Keys(commands)) {
			forms = append(forms, strings.Join(append([]string{name}, operands[name]...), " "))
		}
		fmt.Fprintf(stderr, "usage: %s [%s]\n", p.Name, strings.Join(forms, "|"))
		return ExitUsage
	}
	err := run(ctx)
	if err == nil {
		return ExitOK
	}
	var exit *exitError
	if errors.As(err, &exit) {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, exit.err)
		return exit.code
	}
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	return ExitFailure
}

// commands are the subcommands, with their operands.
func (p Program) commands(stdout io.Writer, args []string) map[string]func(context.Context) error {
	commands := map[string]func(context.Context) error{
		"serve": func(ctx context.Context) error {
			log, metrics, err := p.configure(stdout)
			if err != nil {
				return err
			}
			return p.serve(ctx, log, metrics)
		},
		"migrate": func(ctx context.Context) error {
			log, _, err := p.configure(stdout)
			if err != nil {
				return err
			}
			p.introduce(ctx, log, "migrating")
			return retryOpen(ctx, p.Config.Common().StartTimeout, log, func() error { return p.migrate(ctx, log) })
		},
		"backup":  func(ctx context.Context) error { return p.backup(ctx, stdout, args) },
		"restore": func(ctx context.Context) error { return p.restore(ctx, stdout, args) },
		"copy":    func(ctx context.Context) error { return p.copyData(ctx, stdout, args) },
		"healthcheck": func(ctx context.Context) error {
			_, _, err := p.configure(stdout)
			if err != nil {
				return err
			}
			return healthcheck(ctx, p.Config.Common().localAddress())
		},
		"config": func(context.Context) error {
			_, err := fmt.Fprintf(stdout, "%s: %s\n\nIt is configured by environment variables:\n\n", p.Name, p.Summary)
			if err != nil {
				return err
			}
			return config.Describe(stdout, p.Config)
		},
		"openapi": func(context.Context) error {
			b, err := httpapi.YAML(p.Document())
			if err != nil {
				return err
			}
			_, err = stdout.Write(b)
			return err
		},
		"version": func(context.Context) error {
			_, err := fmt.Fprintln(stdout, p.Name, Version())
			return err
		},
	}
	for name, run := range p.Extra {
		commands[name] = func(ctx context.Context) error { return run(ctx, stdout) }
	}
	return commands
}

func (p Program) migrate(ctx context.Context, log *slog.Logger) error {
	s, err := p.Store(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx, log), s.Close())
}

// configure reads the environment, and returns the log, which goes to stdout, where a
// container's log is expected, and the metrics of the process.
func (p Program) configure(stdout io.Writer) (*slog.Logger, *prometheus.Registry, error) {
	err := config.Load(p.Config)
	if err != nil {
		return nil, nil, &exitError{ExitUsage, fmt.Errorf("the configuration is wrong:\n%w", err)}
	}
	lines := stdout
	metrics := telemetry.NewRegistry(p.Name, Version())
	if p.log != nil {
		lines = p.log
		metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "log_lines_dropped_total",
			Help: "Lines of the log that were dropped because whoever reads it had taken none for a second, or that could not be written.",
		}, func() float64 { return float64(p.log.Dropped()) }))
	}
	return telemetry.NewLogger(lines, p.Config.Common().LogConfig, p.Name, Version()), metrics, nil
}

// introduce says in the log what the program does, with which database, and which variables may be meant to be settings.
func (p Program) introduce(ctx context.Context, log *slog.Logger, what string, attrs ...slog.Attr) {
	c := p.Config.Common()
	attrs = append(attrs, c.LogValue().Group()...)
	log.LogAttrs(ctx, slog.LevelInfo, what, attrs...) //nolint:sloglint // what is a constant, of one of two callers
	for _, why := range c.Warnings() {
		log.WarnContext(ctx, "a setting is risky", slog.String("why", why))
	}
	for _, m := range config.FindMisspelt(p.Config) {
		log.WarnContext(ctx, "a variable that nothing reads is set", slog.String("variable", m.Name), slog.String("like", m.Like))
	}
}

type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

const healthcheckTimeout = 3 * time.Second

// healthcheck asks the service that runs beside it whether it is ready.
func healthcheck(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health/ready", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}} // no proxy on the way to this machine
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s answers %s", address, response.Status)
	}
	return nil
}

// gcPercent lets the heap grow to three times what is live before it is
// collected: what is live is a few megabytes, so that a twentieth of the
// processor's time is cheaply won. GOGC and GOMEMLIMIT overrule it.
const gcPercent = 200

// linesTimeout bounds writing the last lines of the log: whoever reads them may
// hang.
const linesTimeout = 3 * time.Second

// Exit runs the program with the process's arguments, and ends the process.
func (p Program) Exit() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	p.log = telemetry.NewOutput(os.Stdout)
	p.end(p.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// end ends the process, once the last lines of its log have been written.
func (p Program) end(code int) {
	if p.log != nil {
		p.log.Flush(linesTimeout)
	}
	os.Exit(code)
}
