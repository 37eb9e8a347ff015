package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/bench/tokens"
)

// buildBefore builds the user-service of another commit into dir, and returns its path.
func buildBefore(ctx context.Context, root, dir, commit string, profiled bool) (string, error) {
	tree, binary := filepath.Join(dir, "before"), filepath.Join(dir, "user-service-before")
	err := os.MkdirAll(tree, 0o700)
	if err != nil {
		return "", err
	}
	profile := "/dev/null"
	if profiled {
		profile = filepath.Join(root, "bench", "overlay", "profile.go.txt")
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", `set -e
		git -C "$1" archive "$2" | tar -x -C "$3"
		cd "$3"
		[ "$5" = /dev/null ] || cp "$5" services/user-service/profile.go
		go build -trimpath -o "$4" ./services/user-service`, "sh", root, commit, tree, binary, profile)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the user-service of %s: %w\n%s", commit, err, out)
	}
	return binary, nil
}

// benchBefore compares user-service with that of the commit given by -before, callers
// having tokens: reading a user, and creating one.
func benchBefore(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	headers, setting, err := tokens.New(filepath.Join(l.dir, "issuer"), subjects)
	if err != nil {
		return section{}, err
	}
	out := section{title: "What is slower than before"}
	for _, kind := range []string{onSQLite, onPostgres} {
		var services []*server.Server
		for _, binary := range []string{l.programs.users, l.programs.before} {
			s, err := g.startOn(ctx, binary, kind, "AUTH_ISSUERS="+setting)
			if err != nil {
				return section{}, err
			}
			services = append(services, s)
		}
		for _, row := range []struct {
			what string
			plan func(*server.Server) (load.Plan, error)
		}{
			{"GET one user", func(s *server.Server) (load.Plan, error) { return readWith(ctx, l, s, headers) }},
			{"POST a user", func(s *server.Server) (load.Plan, error) { return createWith(l, s, headers), nil }},
		} {
			var sides []side
			for i, name := range []string{"now", "before"} {
				p, err := row.plan(services[i])
				if err != nil {
					return section{}, err
				}
				sides = append(sides, of(name, p, cpuOf("service", services[i]), clientCPU))
			}
			samples, err := alternate(ctx, l.size.rounds, sides)
			if err != nil {
				return section{}, err
			}
			what := on(row.what, kind)
			out.findings = append(out.findings,
				reported(what+", now ÷ before, throughput", ratio(samples[0], samples[1], rate)),
				reported(what+", now ÷ before, CPU per request", ratio(samples[0], samples[1], cpu(0))))
			out.body += what + "\n\n" + table(sides, samples) + "\n"
		}
	}
	return out, nil
}

// readWith is the plan to read one user, with the tokens in turn.
func readWith(ctx context.Context, l *lab, s *server.Server, headers []string) (load.Plan, error) {
	path, err := createUser(ctx, s.Address, strings.TrimPrefix(headers[0], "Authorization: "))
	if err != nil {
		return load.Plan{}, err
	}
	n := 0
	return load.Plan{
		Address: s.Address, Connections: connections, For: l.size.span, Status: http.StatusOK,
		Append: func(b []byte, _ int) []byte {
			n++
			return append(b, load.Get(path, headers[n%len(headers)])...)
		},
	}, nil
}

// createWith is the plan to create users, with the tokens in turn.
func createWith(l *lab, s *server.Server, headers []string) load.Plan {
	p := postUsers(l, s)
	var body []byte
	n := 0
	p.Append = func(b []byte, _ int) []byte {
		n++
		body = appendUser(body[:0])
		return load.AppendPost(b, usersPath, body, headers[n%len(headers)])
	}
	return p
}
