package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/example/microservices/bench/pg"
	"github.com/example/microservices/bench/server"
)

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

	// newDatabase makes an empty database in PostgreSQL, and returns its URL.
	newDatabase func(context.Context) (string, error)
	stop        []func() error
}

func newLab(ctx context.Context, root string, s size, profiles, before string) (*lab, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{size: s, root: root, dir: dir, stop: []func() error{func() error { return os.RemoveAll(dir) }}}
	l.newDatabase = l.ownDatabase
	extra := []string{"-trimpath"}
	if profiles != "" {
		l.profiles, err = filepath.Abs(profiles)
		err = errors.Join(err, os.MkdirAll(profiles, 0o700))
	}
	if err == nil {
		l.programs, err = build(ctx, root, dir, l.profiles != "", extra, append(os.Environ(), "CGO_ENABLED=0"))
	}
	if err == nil && before != "" {
		l.programs.before, err = buildBefore(ctx, root, dir, before, l.profiles != "")
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

// ownDatabase starts a PostgreSQL when it is first called.
func (l *lab) ownDatabase(ctx context.Context) (string, error) {
	s, err := pg.Start(ctx)
	if err != nil {
		return "", err
	}
	l.stop = append(l.stop, s.Stop)
	l.newDatabase = s.NewDatabase
	return l.newDatabase(ctx)
}

// The kinds of database there are.
const (
	onSQLite   = "SQLite"
	onPostgres = "PostgreSQL"
)

// address returns the address of a new database of a kind.
func (l *lab) address(ctx context.Context, kind string) (string, error) {
	if kind == onPostgres {
		return l.newDatabase(ctx)
	}
	dir, err := os.MkdirTemp(l.dir, "sqlite-")
	return "sqlite://" + filepath.Join(dir, "bench.db"), err
}

// group is servers that are stopped together.
type group struct {
	l       *lab
	servers []*server.Server
}

// start starts a service, and waits until it is ready. All load is one caller's: its
// limit is counted, and never reached.
func (g *group) start(ctx context.Context, binary string, env ...string) (*server.Server, error) {
	env = append([]string{"RATE_LIMIT_READ=1000000/s", "RATE_LIMIT_WRITE=1000000/s", "RATE_LIMIT_KIB=1000000/s"}, env...)
	if g.l.profiles != "" {
		env = append(env, "CPU_PROFILES="+g.l.profiles)
	}
	return g.ready(ctx)(server.Start(g.l.dir, binary, env...))
}

// users starts a user-service on a new database of a kind.
func (g *group) users(ctx context.Context, kind string, env ...string) (*server.Server, error) {
	return g.startOn(ctx, g.l.programs.users, kind, env...)
}

// orders starts an order-service on a new database of a kind, which looks users
// up in another server.
func (g *group) orders(ctx context.Context, kind string, users *server.Server, env ...string) (*server.Server, error) {
	return g.startOn(ctx, g.l.programs.orders, kind, append(env, "USER_SERVICE_URL=http://"+users.Address)...)
}

// startOn starts a service on a new database of a kind.
func (g *group) startOn(ctx context.Context, binary, kind string, env ...string) (*server.Server, error) {
	address, err := g.l.address(ctx, kind)
	if err != nil {
		return nil, err
	}
	return g.start(ctx, binary, append(env, "DATABASE_URL="+address)...)
}

// ready passes a server on when it is ready.
func (g *group) ready(ctx context.Context) func(*server.Server, error) (*server.Server, error) {
	return func(s *server.Server, err error) (*server.Server, error) {
		if err != nil {
			return nil, err
		}
		g.servers = append(g.servers, s)
		_, err = s.Ready(ctx)
		return s, err
	}
}

// stop stops all.
func (g *group) stop() error {
	var errs []error
	for _, s := range g.servers {
		errs = append(errs, s.Stop())
	}
	g.servers = nil
	return errors.Join(errs...)
}

// on names a thing and the database it is on.
func on(what, kind string) string { return strings.TrimSpace(what + " on " + kind) }
