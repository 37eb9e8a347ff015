package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/example/microservices/internal/catalog"
)

// pollInterval is the time between two readiness checks.
const pollInterval = 50 * time.Millisecond

// colors are the terminal colours of the services' lines, in order.
var colors = []int{36, 35, 33, 32, 34, 31}

// runner runs the services.
type runner struct {
	settings
	// build builds a service's program and returns its folder.
	build func(context.Context, catalog.Service) (string, error)
	// environ is the developer's environment, given the names of variables given to make.
	environ, given []string
	out            *output
	// hurry is closed to kill services that are stopping.
	hurry <-chan struct{}
	// patience is how long a service may take to become ready, grace how long to stop.
	patience, grace time.Duration
}

// run builds and starts the services, and stops them when ctx is done. It returns nil unless
// something failed.
func (r *runner) run(ctx context.Context) error {
	err := r.check(ctx)
	if err != nil {
		return err
	}
	for _, line := range r.dropped(r.given, r.environ) {
		r.out.print(line + "\n")
	}
	// Start in this order, because a service needs those before it, and stop in reverse.
	// The first one serves while the next is built.
	ended := make(chan *process, len(r.services))
	var running []*process
	for i, service := range r.services {
		r.out.print(fmt.Sprintf("building %d of %d: %s%s\n", i+1, len(r.services), service.Name, duration(i)))
		dir, err := r.build(ctx, service)
		if err != nil {
			return r.stop(ctx, err, running...)
		}
		p, err := r.start(service, dir, colors[i%len(colors)])
		if err != nil {
			return r.stop(ctx, err, running...)
		}
		go func() { <-p.done; ended <- p }()
		running = append(running, p)
		err = r.awaitReady(ctx, p, ended)
		if err != nil {
			return r.stop(ctx, err, running...)
		}
	}
	r.out.print(r.summary())
	select {
	case <-ctx.Done():
		r.out.print("\nstopping (Ctrl-C again: at once)\n")
	case p := <-ended:
		err = p.ended("unexpectedly")
	}
	return r.stop(ctx, err, running...)
}

// start starts a service.
func (r *runner) start(service catalog.Service, dir string, color int) (*process, error) {
	auth, err := r.authEnvironment(service)
	if err != nil {
		return nil, err
	}
	environ := r.environ
	if r.out.color {
		environ = append([]string{"LOG_FORMAT=color"}, environ...)
	}
	return launch(service.Name, filepath.Join(dir, service.Name), append(r.environment(service, environ), auth...), r.out.lines(service.Name, color))
}

// awaitReady waits until p is ready, until any running service has ended, or until ctx is
// done.
func (r *runner) awaitReady(ctx context.Context, p *process, ended <-chan *process) error {
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
		case other := <-ended:
			if other == p {
				return p.ended("before it was ready")
			}
			return other.ended("unexpectedly")
		case <-waiting.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s was not ready after %s: %w", p.name, r.patience, answer)
		case <-ticker.C:
		}
	}
}

// ready makes one readiness check.
func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A separate transport, to leave no idle connection open.
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

// stop stops processes in reverse order. It returns err, unless that is the end of ctx,
// joined with errors of stopping.
func (r *runner) stop(ctx context.Context, err error, processes ...*process) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // stopped before all were started
	}
	for _, p := range slices.Backward(processes) {
		err = errors.Join(err, p.stop(r.grace, r.hurry))
	}
	return err
}

// summary returns the message about how to use the running services.
func (r *runner) summary() string {
	text := "\n"
	for _, service := range r.services {
		base := fmt.Sprintf("http://localhost:%d", r.ports[service.Name])
		text += fmt.Sprintf("  %-13s  API      %s%s\n", service.Name, base, service.Path)
		text += fmt.Sprintf("  %-13s  docs     %s/docs\n", "", base)
		text += fmt.Sprintf("  %-13s  metrics  %s/metrics\n", "", base)
	}
	if r.auth {
		text += "\n  a token: make token DATA_DIR=" + r.dataDir + "\n"
	}
	if len(r.elsewhere) < len(r.services) {
		text += "\n  data in " + r.dataDir
	}
	return text + "\n  Ctrl-C stops them\n\n"
}

// duration returns the build time to announce for a service, by its place in the order. The
// first build includes what all share.
func duration(place int) string {
	if place == 0 {
		return " (about 90 s the first time, 1 s later)"
	}
	return ""
}

// build compiles a service into ./bin. Without flags, so that it shares the build cache with
// go test, go run and make build.
func build(ctx context.Context, service catalog.Service) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", "bin/", "./services/"+service.Name)
	cmd.Stdout = os.Stderr
	cmd.Stderr = os.Stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("can't build %s: %w", service.Name, err)
	}
	return filepath.Abs("bin")
}
