package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/internal/testkit/postgres"
)

// size is the duration and the size of the measurements.
type size struct {
	// rounds is the number of measurements of each side of a comparison, after one round to
	// warm up.
	rounds int
	// span is the duration of a side's measurement in a round.
	span time.Duration
	// rows is the number of rows to choose from. long and deep are those of the tables whose
	// pages are read.
	rows, long, deep int
	// starts is the number of starts of a service.
	starts int
	// idle is how long a service is idle before its memory is read.
	idle time.Duration
	// overload is the duration of an overload, and overloads the number of them.
	overload  time.Duration
	overloads int
	// attack is the duration of each attack.
	attack time.Duration
}

var (
	fullSize  = size{rounds: 12, span: time.Second, rows: 100_000, long: 1_000_000, deep: 10_000_000, starts: 25, idle: 10 * time.Second, overload: 15 * time.Second, overloads: 2, attack: 30 * time.Second}
	quickSize = size{rounds: 3, span: 300 * time.Millisecond, rows: 10_000, long: 50_000, deep: 100_000, starts: 5, idle: 2 * time.Second, overload: 5 * time.Second, overloads: 1, attack: 2 * time.Second}
	// tinySize only tests that everything works.
	tinySize = size{rounds: 1, span: 20 * time.Millisecond, rows: 200, long: 300, deep: 300, starts: 1, idle: 10 * time.Millisecond, overload: 50 * time.Millisecond, overloads: 1, attack: 300 * time.Millisecond}
)

// connections is the number of concurrent requests when a server gets as many as it can
// answer.
const connections = 16

// lab is the environment of the benchmarks: the programs, a folder, a PostgreSQL.
type lab struct {
	// root is the project's folder.
	root     string
	size     size
	programs programs
	// dir has databases and logs, and is removed at the end.
	dir string
	// profiles is the folder for the services' CPU profiles; "" for none.
	profiles string
	// calibrations are the durations of a fixed piece of work during the section, in
	// milliseconds.
	calibrations []float64

	// newDatabase creates an empty database in PostgreSQL, and returns its URL.
	newDatabase func(context.Context) (string, error)
	// postgresMeter reads the CPU time of all of PostgreSQL's processes.
	postgresMeter meter
	stop          []func() error
}

func newLab(ctx context.Context, root string, s size, profiles, before string) (*lab, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{size: s, root: root, dir: dir, stop: []func() error{func() error { return os.RemoveAll(dir) }}}
	l.newDatabase = l.ownDatabase
	if profiles != "" {
		l.profiles, err = filepath.Abs(profiles)
		err = errors.Join(err, os.MkdirAll(profiles, 0o700))
	}
	if err == nil {
		l.programs, err = build(ctx, root, dir, []string{"-trimpath"}, append(os.Environ(), "CGO_ENABLED=0"))
	}
	if err == nil && before != "" {
		l.programs.before, err = buildBefore(ctx, root, dir, before)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close undoes everything in reverse order.
func (l *lab) close() error {
	var errs []error
	for i := len(l.stop) - 1; i >= 0; i-- {
		errs = append(errs, l.stop[i]())
	}
	l.stop = nil
	return errors.Join(errs...)
}

// measure runs a benchmark, and stops the servers that it started.
func (l *lab) measure(ctx context.Context, b benchmark) (section, error) {
	g := &group{lab: l, databases: map[*server.Server]meter{}}
	l.calibrations = nil
	l.calibrate(l.size.rounds) // at the start and the end, as not every benchmark has rounds
	s := b.run(ctx, g)
	l.calibrate(l.size.rounds)
	s.noise = quartilesOf(l.calibrations)
	g.stop()
	return s, g.err
}

// needPostgres makes sure that this machine has PostgreSQL, and installs it like make test.
func needPostgres(ctx context.Context, root string) error {
	_, err := postgres.Find(ctx)
	if err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, ".ci", "dependencies"), "postgresql")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// ownDatabase starts a PostgreSQL with its default settings when it is first called: a
// commit waits for the disk.
func (l *lab) ownDatabase(ctx context.Context) (string, error) {
	s, err := postgres.Start(ctx, postgres.Options{})
	if err != nil {
		return "", err
	}
	l.stop = append(l.stop, s.Stop)
	n := 0
	l.newDatabase = func(ctx context.Context) (string, error) {
		n++
		name := fmt.Sprintf("bench_%d", n)
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			return "", err
		}
		_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
		return s.URL(name), errors.Join(err, conn.Close(ctx))
	}
	return l.newDatabase(ctx)
}

// The kinds of database.
const (
	onSQLite   = "SQLite"
	onPostgres = "PostgreSQL"
)

var kinds = []string{onSQLite, onPostgres}

// group is servers that are stopped together. After the first error its methods do nothing, and
// their results mean nothing: the benchmark runs to its end, and measure returns the error.
type group struct {
	*lab
	servers []*server.Server
	// databases has the meter of PostgreSQL for the servers that use it.
	databases map[*server.Server]meter
	err       error
}

// failed records the first error, and reports whether there was one.
func (g *group) failed(err error) bool {
	if g.err == nil {
		g.err = err
	}
	return g.err != nil
}

// address returns the address of a new database of a kind.
func (g *group) address(ctx context.Context, kind string) (address string) {
	if g.err != nil {
		return ""
	}
	var err error
	if kind == onPostgres {
		address, err = g.newDatabase(ctx)
	} else {
		address, err = os.MkdirTemp(g.dir, "sqlite-")
		address = "sqlite://" + filepath.Join(address, "bench.db")
	}
	g.failed(err)
	return address
}

// start starts a service, and waits until it is ready. All load is from one caller, whose
// limits are on, but too high to be reached unless env sets others.
func (g *group) start(ctx context.Context, binary string, env ...string) *server.Server {
	env = append([]string{"RATE_LIMIT_READ=1000000/s", "RATE_LIMIT_WRITE=1000000/s", "RATE_LIMIT_KIB=1000000/s"}, env...)
	if g.profiles == "" {
		return g.ready(ctx, server.Start, binary, env)
	}
	admin, err := server.FreePort()
	g.failed(err)
	s := g.ready(ctx, server.Start, binary, append(env, "PPROF=true", "ADMIN_PORT="+strconv.Itoa(admin)))
	if g.err == nil {
		go profile(ctx, admin, filepath.Join(g.profiles, fmt.Sprintf("%s-%d", filepath.Base(binary), s.PID)))
	}
	return s
}

// profile writes CPU profiles of a service until it stops, one file per two seconds. go tool
// pprof can merge them.
func profile(ctx context.Context, admin int, file string) {
	for n := 0; ; n++ {
		_, body, err := send(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/profile?seconds=2", admin), nil, http.StatusOK)
		if err != nil {
			return
		}
		err = os.WriteFile(fmt.Sprintf("%s-%03d.pprof", file, n), body, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: profile:", err)
			return
		}
	}
}

// peer starts the program that the services are compared with (bench/peer).
func (g *group) peer(ctx context.Context, env ...string) *server.Server {
	return g.ready(ctx, server.StartAt, g.programs.peer, env)
}

// startOn starts a service on a new database of a kind.
func (g *group) startOn(ctx context.Context, binary, kind string, env ...string) *server.Server {
	return g.start(ctx, binary, append(env, "DATABASE_URL="+g.address(ctx, kind))...)
}

func (g *group) ready(ctx context.Context, start func(dir, binary string, env ...string) (*server.Server, error), binary string, env []string) *server.Server {
	if g.err != nil {
		return &server.Server{}
	}
	s, err := start(g.dir, binary, env...)
	if g.failed(err) {
		return &server.Server{}
	}
	g.servers = append(g.servers, s)
	_, err = s.Ready(ctx)
	g.failed(err)
	for _, setting := range env {
		address, isPostgres := strings.CutPrefix(setting, "DATABASE_URL=postgres://")
		if isPostgres {
			g.databases[s], err = g.postgresCPU(ctx, "postgres://"+address)
			g.failed(err)
		}
	}
	return s
}

// stop stops all servers.
func (g *group) stop() {
	for _, s := range g.servers {
		g.failed(s.Stop())
	}
	g.servers = nil
}

// on returns a name with the kind of database.
func on(what, kind string) string { return strings.TrimSpace(what + " on " + kind) }

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
