package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	userService  = "user-service"
	orderService = "order-service"

	// pollInterval is the time between two looks at whether a service is ready.
	pollInterval = 50 * time.Millisecond
)

// runner runs both services.
type runner struct {
	settings
	// build returns the folder that holds the services' programs.
	build func(context.Context) (string, error)
	// environ are the variables of whoever runs the services.
	environ []string
	out     *output
	// hurry is closed when stopping must take no more time.
	hurry <-chan struct{}
	// patience is how long a service may take to become ready, grace how long
	// to stop.
	patience, grace time.Duration
}

// run builds and starts the services and stops them when ctx is done. It
// returns nil if that was all that happened.
func (r *runner) run(ctx context.Context) error {
	err := r.check(ctx)
	if err != nil {
		return err
	}
	dir, err := r.build(ctx)
	if err != nil {
		return r.stop(ctx, err)
	}
	user, err := r.start(ctx, userService, dir, 36, nil)
	if err != nil {
		return r.stop(ctx, err, user)
	}
	// In this order, and stopped in the other: order-service asks user-service.
	order, err := r.start(ctx, orderService, dir, 35, user)
	if err != nil {
		return r.stop(ctx, err, order, user)
	}
	r.out.print(r.summary())
	select {
	case <-ctx.Done():
		r.out.print("\nstopping (Ctrl-C again: at once)\n")
	case <-user.done:
		err = user.ended("unexpectedly")
	case <-order.done:
		err = order.ended("unexpectedly")
	}
	return r.stop(ctx, err, order, user)
}

// start starts a service and waits until it is ready. The process is returned
// together with an error if there is one to stop. Waiting ends early when the
// service that it needs, if any, ends.
func (r *runner) start(ctx context.Context, service, dir string, color int, needs *process) (*process, error) {
	auth, err := r.authEnvironment(service)
	if err != nil {
		return nil, err
	}
	p, err := launch(service, filepath.Join(dir, service), append(r.environment(service, r.environ), auth...), r.out.lines(service, color))
	if err != nil {
		return nil, err
	}
	return p, r.awaitReady(ctx, p, needs)
}

// awaitReady waits until p says it is ready, it or what it needs has ended, or
// ctx is done.
func (r *runner) awaitReady(ctx context.Context, p, needs *process) error {
	var lost chan struct{} // never closed
	if needs != nil {
		lost = needs.done
	}
	waiting, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	url := "http://" + r.address(p.name) + "/health/ready"
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		answer := ready(waiting, url)
		if answer == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.ended("before it was ready")
		case <-lost:
			return needs.ended("unexpectedly")
		case <-waiting.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s was not ready after %s: %w", p.name, r.patience, answer)
		case <-ticker.C:
		}
	}
}

// ready asks a service once.
func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A transport of its own, so that no connection is kept open for nothing.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}

// stop stops the processes that there are, one after the other. It returns what
// went wrong: err, unless that only says that ctx is done, and what follows.
func (r *runner) stop(ctx context.Context, err error, processes ...*process) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // told to stop before all was started
	}
	for _, p := range processes {
		if p != nil {
			err = errors.Join(err, p.stop(r.grace, r.hurry))
		}
	}
	return err
}

// summary is what to do with the services, once they run.
func (r *runner) summary() string {
	text := "\n"
	for _, service := range []struct{ name, path string }{{userService, "users"}, {orderService, "orders"}} {
		base := fmt.Sprintf("http://localhost:%d", r.port(service.name))
		text += fmt.Sprintf("  %-13s  API      %s/api/v1/%s\n", service.name, base, service.path)
		text += fmt.Sprintf("  %-13s  docs     %s/docs\n", "", base)
		text += fmt.Sprintf("  %-13s  metrics  %s/metrics\n", "", base)
	}
	if r.auth {
		text += "\n  tokens: make token SUBJECT=$(uuidgen) SCOPES=\"users:read users:write orders:read orders:write orders:fulfil\"\n"
	}
	return text + fmt.Sprintf("\n  data in %s\n  Ctrl-C stops both\n\n", r.dataDir)
}

// build compiles the services into ./bin, as a release is: without cgo.
func build(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", "bin/", "./services/"+userService, "./services/"+orderService)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout = os.Stderr
	cmd.Stderr = os.Stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("can't build the services: %w", err)
	}
	return filepath.Abs("bin")
}
