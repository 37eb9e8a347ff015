package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/example/microservices/test/attack"
)

// attackOn returns a benchmark that compares another caller's latency during attacks on
// order-service, in a pod's memory (test/attack), with that without an attack.
func attackOn(kind string) func(context.Context, *group) section {
	return func(ctx context.Context, g *group) section { return benchAttack(ctx, g, kind) }
}

func benchAttack(ctx context.Context, g *group, kind string) section {
	dir, err := os.MkdirTemp(g.dir, "attack-")
	g.failed(err)
	programs := attack.Programs{Users: g.programs.users, Orders: g.programs.orders, Attacker: filepath.Join(dir, "attacker")}
	build := exec.CommandContext(ctx, "go", "build", "-o", programs.Attacker, "./test/attack/attacker")
	build.Dir = g.root
	out, err := build.CombinedOutput()
	if err != nil {
		g.failed(fmt.Errorf("build the attacker: %w\n%s", err, out))
	}
	users, orders := g.address(ctx, kind), g.address(ctx, kind)
	if g.err != nil {
		return section{}
	}
	scene, err := attack.Set(ctx, dir, programs, users, orders)
	if g.failed(err) {
		return section{}
	}
	defer func() { g.failed(scene.Close()) }()
	ordinary := scene.Ordinary(ctx, g.size.attack)
	var slowest, refused float64
	var unanswered, failed int
	rows := fmt.Sprintf("| attack, %s | another caller's p99 ÷ without an attack | another service's p99 ÷ without an attack | rejected | unanswered | failed probes | memory, MiB | responses to the attacker |\n|---|--:|--:|--:|--:|--:|--:|---|\n", g.size.attack)
	for _, a := range attack.All {
		both, result, err := scene.Under(ctx, a, g.size.attack)
		fared := both.Bystander
		memory, gone := scene.Memory()
		if g.failed(errors.Join(err, gone)) {
			return section{}
		}
		slower, elsewhere := ratio(fared, ordinary.Bystander), ratio(both.Neighbour, ordinary.Neighbour)
		share := 1 - float64(fared.Statuses[200]+fared.Statuses[0])/float64(max(1, fared.Requests()))
		slowest, refused = max(slowest, slower), max(refused, share)
		unanswered, failed = unanswered+fared.Statuses[0], failed+fared.Failed
		rows += fmt.Sprintf("| %s | %.1f | %.1f | %.1f %% | %d | %d of %d | %d | %v |\n", a.Name, slower, elsewhere, 100*share, fared.Statuses[0], fared.Failed, fared.Probes, memory>>20, result.Statuses)
	}
	calm := scene.Ordinary(ctx, 5*time.Second)
	after := calm.Bystander
	rows += fmt.Sprintf("| after the attacks, 5s | %.1f | %.1f | %d of %d | %d | %d of %d | | |\n", ratio(after, ordinary.Bystander), ratio(calm.Neighbour, ordinary.Neighbour),
		after.Requests()-after.Statuses[200], after.Requests(), after.Statuses[0], after.Failed, after.Probes)
	return section{
		title: on("What one caller can do to the others", kind),
		figures: []figure{
			single(on("Under attack: another caller's p99 ÷ without an attack, worst case", kind), "%.1f", "", slowest, atMost(5, 3)),
			single(on("Under attack: share of another caller's requests that are rejected, worst case", kind), "%.3f", "", refused, atMost(0.02, 0)),
			single(on("Under attack: unanswered requests and failed probes", kind), "%.0f", "", float64(unanswered+failed), atMost(0, 0)),
		},
		body: rows,
	}
}

// ratio is the 99th percentile of the latency ÷ that before.
func ratio(fared, before attack.Fared) float64 {
	return float64(fared.Percentile(99)) / float64(before.Percentile(99))
}
