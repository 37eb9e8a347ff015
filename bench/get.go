package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// benchGet compares reading a user with the least that Gin can do.
func benchGet(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	users, err := g.users(ctx, onSQLite)
	if err != nil {
		return section{}, err
	}
	path, err := createUser(ctx, users.Address)
	if err != nil {
		return section{}, err
	}
	body, err := fetch(ctx, "http://"+users.Address+path)
	if err != nil {
		return section{}, err
	}
	bare, err := g.ready(ctx)(server.StartAt(l.dir, l.programs.baseline, "BODY="+string(body)))
	if err != nil {
		return section{}, err
	}
	same, err := fetch(ctx, "http://"+bare.Address+path)
	if err != nil {
		return section{}, err
	}
	if string(same) != string(body) {
		return section{}, fmt.Errorf("the bare handler answers %q instead of %q", same, body)
	}

	request := load.Get(path)
	plan := func(s *server.Server) load.Plan {
		return load.Plan{
			Address: s.Address, Connections: connections, For: l.size.span, Status: http.StatusOK,
			Append: func(b []byte, _ int) []byte { return append(b, request...) },
		}
	}
	sides := []side{
		of("user-service on SQLite", plan(users), cpuOf("service", users), clientCPU),
		of("bare Gin handler", plan(bare), cpuOf("service", bare), clientCPU),
	}
	samples, err := alternate(ctx, l.size.rounds, sides)
	if err != nil {
		return section{}, err
	}
	throughput := ratio(samples[0], samples[1], rate)
	return section{
		title: "GET one user",
		findings: []finding{
			atLeast("GET one user ÷ bare Gin handler, throughput", throughput, 0.45),
			reported("the same, bare handler's CPU per request ÷ the service's", ratio(samples[1], samples[0], cpu(0))),
		},
		body: fmt.Sprintf("%d connections; %d bytes of body.\n\n%s", connections, len(body), table(sides, samples)),
	}, nil
}

// fetch returns the body of what is at a URL.
func fetch(ctx context.Context, url string) ([]byte, error) {
	return fetchWith(ctx, http.DefaultClient, url)
}

func fetchWith(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s %s", url, response.Status, body)
	}
	return body, nil
}
