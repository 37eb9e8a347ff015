package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/pg"
)

// insertUser is the row that a POST makes, into the same table. The id is
// given by the client and ascends, as a UUIDv7 does; the address is random.
const insertUser = `\set i :i + 1
\set email random(1, 9000000000000000000)
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
VALUES (('01920000-0000-7000-8' || lpad(to_hex(:client_id::bigint), 3, '0') || '-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid,
  'Ada Lovelace', 'ada' || :email::text || '@example.com', 'ada' || :email::text || '@example.com', 36, 1, now(), now());
`

// pgbench is PostgreSQL's own load generator.
type pgbench struct {
	program, script, address string
	span                     time.Duration
	runs                     int
	used                     time.Duration
}

func newPgbench(ctx context.Context, l *lab, address string) (*pgbench, error) {
	program, err := pg.Program(ctx, "pgbench")
	if err != nil {
		return nil, err
	}
	p := &pgbench{
		program: program, script: filepath.Join(l.dir, "insert.sql"),
		address: address, span: l.size.span,
	}
	return p, os.WriteFile(p.script, []byte(insertUser), 0o600)
}

// cpu is the time that pgbench itself has used.
func (p *pgbench) cpu() meter {
	return meter{"pgbench", func() (time.Duration, error) { return p.used, nil }}
}

var (
	processed = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	perSecond = regexp.MustCompile(`tps = ([0-9.]+) \(without`)
	failures  = regexp.MustCompile(`number of failed transactions: ([1-9]\d*)`)
)

// run runs it once, for as long as the other side, rounded up to seconds, which
// is all that pgbench knows.
func (p *pgbench) run(ctx context.Context) (load.Result, error) {
	p.runs++
	length := []string{"-T", strconv.Itoa(int(math.Ceil(p.span.Seconds())))}
	if p.span < 100*time.Millisecond {
		length = []string{"-t", "5"}
	}
	log := filepath.Join(filepath.Dir(p.script), fmt.Sprintf("pgbench-%d", p.runs))
	args := append([]string{
		"-n", "-M", "prepared", "-f", p.script, "-c", strconv.Itoa(connections), "-j", "2",
		"-D", fmt.Sprintf("i=%d", p.runs*1_000_000_000), "-l", "--log-prefix=" + log,
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
		return load.Result{}, fmt.Errorf("pgbench says %s", text)
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
	r.Latencies, err = latencies(log)
	return r, err
}

// latencies reads the logs of all of pgbench's threads: a line for each
// transaction, whose third field is its time in microseconds.
func latencies(prefix string) ([]time.Duration, error) {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var out []time.Duration
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line)
			if len(fields) < 3 {
				return nil, fmt.Errorf("%s: not a line of pgbench's log: %q", file, line)
			}
			n, err := strconv.Atoi(fields[2])
			if err != nil {
				return nil, err
			}
			out = append(out, time.Duration(n)*time.Microsecond)
		}
	}
	slices.Sort(out)
	return out, nil
}
