// Package service runs a service's process: subcommands, configuration, start, readiness,
// drain and stop.
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

// Exit codes.
const (
	ExitOK = 0
	// ExitFailure: the command failed.
	ExitFailure = 1
	// ExitUsage: the arguments or the configuration are wrong. A retry without a change
	// fails again.
	ExitUsage = 2
	// ExitCutOff: stopped as requested, but requests still in flight after DRAIN_TIMEOUT
	// were cut off.
	ExitCutOff = 3
	// ExitSignal + n: a second signal, number n, ended the process at once.
	ExitSignal = 128
)

// Program describes a service. Its main fills it in.
type Program struct {
	// Name is the service's name, such as "user-service". Summary says in one line what it
	// does.
	Name, Summary string
	// Config points to the struct that is loaded from the environment. It embeds Config of
	// this package.
	Config interface{ Common() *Config }
	// Data describes the service's tables, for the subcommands backup, restore and copy.
	Data transfer.Store
	// Store opens the database of DATABASE_URL.
	Store func(context.Context) (Store, error)
	// Describe adds the operations to an API that only generates the document.
	Describe func(*httpapi.API)
	// Open opens the service's dependencies, and adds the operations to rt.API. On
	// database.ErrUnavailable it is retried, for START_TIMEOUT.
	Open func(ctx context.Context, rt *Runtime) error
	// Extra has the service's own subcommands. They write to the writer.
	Extra map[string]func(context.Context, io.Writer) error

	// log receives the log; nil means stdout.
	log *telemetry.Output
}

// version is set by the linker if the build has no version control information.
var version string

// Version returns the version of this build: the linker's, the module's, or the commit.
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

// Main runs the subcommand in args (without the program's name; default serve), and
// returns the exit code.
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

// commands returns the subcommands by name.
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

// configure loads the configuration, and returns the logger, which writes to stdout, and
// the metrics of the process.
func (p Program) configure(stdout io.Writer) (*slog.Logger, *prometheus.Registry, error) {
	err := config.Load(p.Config)
	if err != nil {
		return nil, nil, &exitError{ExitUsage, fmt.Errorf("the configuration is invalid:\n%w", err)}
	}
	lines := stdout
	metrics := telemetry.NewRegistry(p.Name, Version())
	if p.log != nil {
		lines = p.log
		metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "log_lines_dropped_total",
			Help: "Log lines dropped because the reader of the log took none for a second, or because they could not be written.",
		}, func() float64 { return float64(p.log.Dropped()) }))
	}
	return telemetry.NewLogger(lines, p.Config.Common().LogConfig, p.Name, Version()), metrics, nil
}

// introduce logs what the program does and with which database. It warns about risky
// settings, and about variables that look like misspelt settings.
func (p Program) introduce(ctx context.Context, log *slog.Logger, what string, attrs ...slog.Attr) {
	c := p.Config.Common()
	attrs = append(attrs, c.LogValue().Group()...)
	log.LogAttrs(ctx, slog.LevelInfo, what, attrs...) //nolint:sloglint // what is a constant, of one of two callers
	for _, why := range c.Warnings() {
		log.WarnContext(ctx, "a setting is risky", slog.String("why", why))
	}
	for _, m := range config.FindUnread(p.Config) {
		if m.Like == "" {
			log.WarnContext(ctx, "a variable that is not supported is set", slog.String("variable", m.Name))
			continue
		}
		log.WarnContext(ctx, "an unknown variable is set", slog.String("variable", m.Name), slog.String("like", m.Like))
	}
}

type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

const healthcheckTimeout = 3 * time.Second

// healthcheck returns an error unless the service on the same host is ready.
func healthcheck(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health/ready", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}} // ignores proxy settings
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

// gcPercent lets the heap grow to three times the live data before a collection, instead
// of twice. The live data is a few megabytes, so this saves a twentieth of the CPU time
// for little memory. GOGC and GOMEMLIMIT override it.
const gcPercent = 200

// linesTimeout limits writing the last log lines: the reader may hang.
const linesTimeout = 3 * time.Second

// Exit runs the program with the arguments of the process, and exits.
func (p Program) Exit() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	p.log = telemetry.NewOutput(os.Stdout)
	p.end(p.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// end exits after it has written the last log lines.
func (p Program) end(code int) {
	if p.log != nil {
		p.log.Flush(linesTimeout)
	}
	os.Exit(code)
}
