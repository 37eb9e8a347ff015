package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/bench/tokens"
)

// subjects is how many callers there are, each with a token of its own.
const subjects = 64

// benchAuth compares reading a user with a token with reading one without.
func benchAuth(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	address, err := l.address(ctx, onSQLite)
	if err != nil {
		return section{}, err
	}
	headers, setting, err := tokens.New(filepath.Join(l.dir, "issuer"), subjects)
	if err != nil {
		return section{}, err
	}
	// On one database: what is compared is the token and nothing else.
	open, err := g.start(ctx, l.programs.users, "DATABASE_URL="+address)
	if err != nil {
		return section{}, err
	}
	guarded, err := g.start(ctx, l.programs.users, "DATABASE_URL="+address, "AUTH_ISSUERS="+setting)
	if err != nil {
		return section{}, err
	}
	path, err := createUser(ctx, open.Address)
	if err != nil {
		return section{}, err
	}
	requests := make([][]byte, len(headers))
	for n, header := range headers {
		requests[n] = load.Get(path, header)
	}
	plain := load.Get(path)
	plan := func(s *server.Server, next func() []byte) load.Plan {
		return load.Plan{
			Address: s.Address, Connections: connections, For: l.size.span, Status: http.StatusOK,
			Append: func(b []byte, _ int) []byte { return append(b, next()...) },
		}
	}
	n := 0
	sides := []side{
		of("with a token", plan(guarded, func() []byte { n++; return requests[n%len(requests)] }), cpuOf("service", guarded), clientCPU),
		of("open", plan(open, func() []byte { return plain }), cpuOf("service", open), clientCPU),
	}
	samples, err := alternate(ctx, l.size.rounds, sides)
	if err != nil {
		return section{}, err
	}
	return section{
		title:    "GET one user with a token",
		findings: []finding{atLeast("GET one user with a token ÷ open, throughput", ratio(samples[0], samples[1], rate), 0.85)},
		body:     fmt.Sprintf("%d connections, %d tokens (ES256, %d bytes a request).\n\n%s", connections, subjects, len(requests[0]), table(sides, samples)),
	}, nil
}
