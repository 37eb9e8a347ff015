package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/internal/testkit/postgres"
)

// insertUser inserts the row of a POST into the same table. The client generates the id, which
// ascends like a UUIDv7; the address is random.
const insertUser = given + `INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
VALUES (` + givenID + `, 'Ada Lovelace', ` + givenEmail + `, ` + givenEmail + `, 36, 1, now(), now());
`

// insertUserOnce inserts that row and the record of its request in one statement, like a POST
// with an Idempotency-Key.
const insertUserOnce = given + `\set key random(1, 9000000000000000000)
WITH record AS (
  INSERT INTO user_service.idempotency_keys AS k (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
  VALUES ('', :key::text, decode(repeat('ab', 32), 'hex'), 201, '/api/v1/users/' || ` + givenID + `, '"1"', decode(repeat('ab', 200), 'hex'), now(), now() + interval '1 day')
  ON CONFLICT (caller, key) DO UPDATE SET fingerprint = excluded.fingerprint WHERE k.expires_at <= excluded.created_at
  RETURNING 1
)
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT ` + givenID + `, 'Ada Lovelace', ` + givenEmail + `, ` + givenEmail + `, 36, 1, now(), now() FROM record;
`

const (
	given = `\set i :i + 1
\set email random(1, 9000000000000000000)
`
	givenID    = `(('01930000-0000-7000-8' || lpad(to_hex(:client_id::bigint), 3, '0') || '-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid)`
	givenEmail = `('ada' || :email::text || '@example.com')`
)

// pgbench is PostgreSQL's own load generator.
type pgbench struct {
	program, script, address string
	span                     time.Duration
	used                     time.Duration
}

// inserted counts the runs, so that no two generate the same ids.
var inserted int

func (g *group) pgbench(ctx context.Context, address, script string) *pgbench {
	found, err := postgres.Find(ctx)
	g.failed(err)
	file, err := os.CreateTemp(g.dir, "insert-*.sql")
	if !g.failed(err) {
		_, err = file.WriteString(script)
		g.failed(errors.Join(err, file.Close()))
	}
	return &pgbench{program: filepath.Join(found.Bin, "pgbench"), script: file.Name(), address: address, span: g.size.span}
}

// cpu is the CPU time of pgbench itself.
func (p *pgbench) cpu() meter {
	return meter{"pgbench", func() (time.Duration, error) { return p.used, nil }}
}

var (
	processed = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	perSecond = regexp.MustCompile(`tps = ([0-9.]+) \(without`)
	failures  = regexp.MustCompile(`number of failed transactions: ([1-9]\d*)`)
)

// run runs pgbench once, for three times as long as the other sides, because its connecting
// counts as its CPU time, and in whole seconds, as it supports no others.
func (p *pgbench) run(ctx context.Context) (load.Result, error) {
	inserted++
	length := []string{"-T", strconv.Itoa(int(math.Ceil(3 * p.span.Seconds())))}
	if p.span < 100*time.Millisecond {
		length = []string{"-t", "5"}
	}
	args := append([]string{
		"-n", "-M", "prepared", "-f", p.script, "-c", strconv.Itoa(connections), "-j", "2",
		"-D", fmt.Sprintf("i=%d", inserted*1_000_000_000),
	}, length...)
	cmd := exec.CommandContext(ctx, p.program, append(args, p.address)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load.Result{}, fmt.Errorf("%w\n%s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if ok {
		p.used += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	text := string(out)
	n, tps := processed.FindStringSubmatch(text), perSecond.FindStringSubmatch(text)
	if n == nil || tps == nil || failures.MatchString(text) {
		return load.Result{}, fmt.Errorf("pgbench printed %s", text)
	}
	var r load.Result
	r.Requests, err = strconv.Atoi(n[1])
	if err != nil {
		return r, err
	}
	rate, err := strconv.ParseFloat(tps[1], 64)
	if err != nil {
		return r, err
	}
	r.Elapsed = time.Duration(float64(r.Requests) / rate * float64(time.Second))
	return r, nil
}
