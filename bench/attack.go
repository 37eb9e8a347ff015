package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/example/microservices/test/attack"
)

const (
	// hurt is how many times its ordinary p99 another caller's may be while one caller
	// attacks, and refusedShare the part of its requests that may be refused.
	hurt, refusedShare = 5, 0.02
)

// benchAttack sees how another caller fares while one does what it can to order-service
// in a pod's memory (test/attack), beside how it fares ordinarily.
func benchAttack(ctx context.Context, l *lab) (section, error) {
	attacker := filepath.Join(l.dir, "attacker")
	build := exec.CommandContext(ctx, "go", "build", "-o", attacker, "./test/attack/attacker")
	build.Dir = l.root
	out, err := build.CombinedOutput()
	if err != nil {
		return section{}, fmt.Errorf("build the attacker: %w\n%s", err, out)
	}
	programs := attack.Programs{Users: l.programs.users, Orders: l.programs.orders, Attacker: attacker}
	s := section{title: "What one caller can do to the others"}
	var body strings.Builder
	for _, kind := range []string{onSQLite, onPostgres} {
		rows, findings, err := attackOn(ctx, l, programs, kind)
		if err != nil {
			return section{}, fmt.Errorf("%s: %w", kind, err)
		}
		s.findings = append(s.findings, findings...)
		fmt.Fprintf(&body, "\n%s:\n\n| attack, %s | p99 of another ÷ ordinarily | refused | without an answer | probes that failed | memory, MiB | the attacker was answered |\n|---|--:|--:|--:|--:|--:|---|\n%s", kind, l.size.attack, rows)
	}
	s.body = body.String()
	return s, nil
}

// attackOn attacks a service on a kind of database, and returns a row for each attack.
func attackOn(ctx context.Context, l *lab, programs attack.Programs, kind string) (rows string, findings []finding, err error) {
	dir, err := os.MkdirTemp(l.dir, "attack-")
	if err != nil {
		return "", nil, err
	}
	users, err := l.address(ctx, kind)
	if err != nil {
		return "", nil, err
	}
	orders, err := l.address(ctx, kind)
	if err != nil {
		return "", nil, err
	}
	scene, err := attack.Set(ctx, dir, programs, users, orders)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	ordinary := scene.Ordinary(ctx, l.size.attack)
	worst, refused := 0.0, 0.0
	unanswered, failed := 0, 0
	for _, a := range attack.All {
		fared, result, err := scene.Under(ctx, a, l.size.attack)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		memory, err := scene.Memory()
		if err != nil {
			return "", nil, fmt.Errorf("%s: the service is gone: %w", a.Name, err)
		}
		slower := float64(fared.Percentile(99)) / float64(ordinary.Percentile(99))
		share := 1 - float64(fared.Statuses[200]+fared.Statuses[0])/float64(max(1, fared.Requests()))
		worst, refused = max(worst, slower), max(refused, share)
		unanswered, failed = unanswered+fared.Statuses[0], failed+fared.Failed
		rows += fmt.Sprintf("| %s | %.1f | %.1f %% | %d | %d of %d | %d | %v |\n", a.Name, slower, 100*share, fared.Statuses[0], fared.Failed, fared.Probes, memory>>20, result.Statuses)
	}
	after := scene.Ordinary(ctx, 5*time.Second)
	rows += fmt.Sprintf("| none any more, 5s | %.1f | %d of %d | %d | %d of %d | | |\n", float64(after.Percentile(99))/float64(ordinary.Percentile(99)),
		after.Requests()-after.Statuses[200], after.Requests(), after.Statuses[0], after.Failed, after.Probes)
	single := func(v float64) spread { return spread{median: v, low: v, high: v} }
	return rows, []finding{
		atMost(on("Attacked: p99 of another caller ÷ ordinarily, the worst", kind), "%.1f", single(worst), hurt),
		atMost(on("Attacked: requests of another caller refused, the worst", kind), "%.3f", single(refused), refusedShare),
		atMost(on("Attacked: requests without an answer, and probes that failed", kind), "%.0f", single(float64(unanswered+failed)), 0),
	}, nil
}
