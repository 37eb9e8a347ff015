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

// size is how long and how large the measurements are.
type size struct {
	// rounds is how often each side of a comparison is measured. One round
	// before them warms up and doesn't count.
	rounds int
	// span is how long one side is measured in a round.
	span time.Duration
	// rows is how many rows there are to choose from, long and deep how many the tables
	// have whose pages are read.
	rows, long, deep int
	// starts is how often a service is started.
	starts int
	// idle is how long a service is left alone before its memory is read.
	idle time.Duration
	// overload is how long more is asked for than can be carried, and overloads
	// how often.
	overload  time.Duration
	overloads int
	// attack is how long each attack goes on.
	attack time.Duration
}

var (
	fullSize  = size{rounds: 12, span: time.Second, rows: 100_000, long: 1_000_000, deep: 10_000_000, starts: 25, idle: 10 * time.Second, overload: 15 * time.Second, overloads: 2, attack: 30 * time.Second}
	quickSize = size{rounds: 3, span: 300 * time.Millisecond, rows: 10_000, long: 50_000, deep: 100_000, starts: 5, idle: 2 * time.Second, overload: 5 * time.Second, overloads: 1, attack: 2 * time.Second}
	// tinySize only shows that everything works.
	tinySize = size{rounds: 1, span: 20 * time.Millisecond, rows: 200, long: 300, deep: 300, starts: 1, idle: 10 * time.Millisecond, overload: 50 * time.Millisecond, overloads: 1, attack: 300 * time.Millisecond}
)

// connections is how many requests are under way at a time where the load is
// to be as much as the server takes.
const connections = 16

// lab is where the benchmarks are run: the programs, a folder, a PostgreSQL.
type lab struct {
	// root is the project's folder.
	root     string
	size     size
	programs programs
	// dir holds databases and logs, and goes at the end.
	dir string
	// profiles is where the services put CPU profiles; "" is nowhere.
	profiles string
	// calibrations are what a fixed piece of work took while the section was measured,
	// in milliseconds.
	calibrations []float64

	// newDatabase makes an empty database in PostgreSQL, and returns its URL.
	newDatabase func(context.Context) (string, error)
	// postgresMeter reads the processor time of all of PostgreSQL's processes.
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

// close undoes everything, the last first.
func (l *lab) close() error {
	var errs []error
	for i := len(l.stop) - 1; i >= 0; i-- {
		errs = append(errs, l.stop[i]())
	}
	l.stop = nil
	return errors.Join(errs...)
}

// measure runs a benchmark, and stops what it has started.
func (l *lab) measure(ctx context.Context, b benchmark) (section, error) {
	g := &group{lab: l, databases: map[*server.Server]meter{}}
	l.calibrations = nil
	l.calibrate(l.size.rounds) // at the ends, too: not all of them go by rounds
	s := b.run(ctx, g)
	l.calibrate(l.size.rounds)
	s.noise = quartilesOf(l.calibrations)
	g.stop()
	return s, g.err
}

// needPostgres makes sure that PostgreSQL is on this machine, and installs it where
// make test would.
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

// The kinds of database there are.
const (
	onSQLite   = "SQLite"
	onPostgres = "PostgreSQL"
)

var kinds = []string{onSQLite, onPostgres}

// group is servers that are stopped together. Once something has gone wrong its methods do
// nothing, and what they return means nothing: a benchmark goes on to its end, and measure
// says what it was.
type group struct {
	*lab
	servers []*server.Server
	// databases has the processor time of PostgreSQL, for the servers that are on it.
	databases map[*server.Server]meter
	err       error
}

// failed takes note of what went wrong first, if anything has by now.
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

// start starts a service, and waits until it is ready. All load is one caller's: its
// limit is counted, and never reached, unless env has another.
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

// profile writes CPU profiles of a service until it stops, a file for every two seconds:
// go tool pprof adds up as many as it is given.
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

// peer starts the program that the services are measured against (bench/peer).
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

// stop stops all.
func (g *group) stop() {
	for _, s := range g.servers {
		g.failed(s.Stop())
	}
	g.servers = nil
}

// on names a thing and the database it is on.
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
