package erasure

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var missed = flag.Int("events", 20000, "how many events happen while the feed is unavailable")

// TestAFeedThatWasUnavailableIsCaughtUp: while the feed is unavailable, events happen, and one in a
// hundred is the deletion of a user with an order. All these orders are then erased, in
// bounded memory, and the feed's last page takes less than three times as long as the first.
func TestAFeedThatWasUnavailableIsCaughtUp(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := open(t, kind)
			idle := memory(t, s.orders.PID(), "VmRSS")
			s.users.Kill()
			s.miss(t, *missed)
			began := time.Now()
			s.users.start(t)
			from := s.followed(t)
			for from == s.followed(t) { // until the follower's next attempt
				require.Less(t, time.Since(began), time.Minute)
				<-time.After(time.Millisecond)
			}
			began = time.Now()
			last := s.usersDB.one(t, "SELECT max(position) FROM {}events")
			for s.followed(t) < last {
				require.Less(t, time.Since(began), 20*time.Minute)
				<-time.After(20 * time.Millisecond)
			}
			took := time.Since(began)
			require.EqualValues(t, *missed/100, s.orderDB.one(t, "SELECT count(*) FROM {}orders WHERE status = 'cancelled' AND shipping_address = '-'"))
			require.EqualValues(t, *missed/100, s.orderDB.one(t, "SELECT count(*) FROM {}orders"))
			peak := memory(t, s.orders.PID(), "VmHWM")
			t.Logf("%d events in %s, %.0f a second; order-service had %d MiB before, %d MiB at most", *missed, took.Round(time.Millisecond), float64(*missed)/took.Seconds(), idle>>10, peak>>10)
			require.Less(t, peak-idle, 64<<10, "KiB more than before")
			first, end := s.pageTime(t, 0), s.pageTime(t, s.usersDB.one(t, "SELECT position FROM {}events ORDER BY position DESC LIMIT 1 OFFSET 500"))
			t.Logf("the first page took %s, the last %s: %.2f times as long", first, end, float64(end)/float64(first))
			require.Less(t, end, 3*first)
		})
	}
}

// miss inserts events, and the orders of the deleted users.
func (s *shop) miss(t *testing.T, n int) {
	t.Helper()
	id := func(hex string) string { return "'00000000-0000-4000-8000-' || " + hex }
	const kindOf = "CASE WHEN i % 100 = 0 THEN 'deleted' WHEN i % 3 = 0 THEN 'created' ELSE 'updated' END"
	const orders = "INSERT INTO {}orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at) "
	const rest = `'[{"product_id":"p","product_name":"P","quantity":1,"price":1}]', 'Somewhere', 'pending', 1, 1, `
	if s.kind == "sqlite" {
		hex := id("printf('%012x', i)")
		numbers := func(n int) string {
			return fmt.Sprintf(" FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d) SELECT i FROM n)", n)
		}
		s.usersDB.exec(t, "INSERT INTO events (subject, type, version, time, data) SELECT "+hex+", "+kindOf+`, 1, unixepoch() * 1000000, '{"version":1}'`+numbers(n))
		s.orderDB.exec(t, orders+"SELECT "+hex+", "+id("printf('%012x', i * 100)")+", "+rest+"1700000000000000, 1700000000000000"+numbers(n/100))
		return
	}
	hex := id("lpad(to_hex(i), 12, '0')")
	s.usersDB.exec(t, "INSERT INTO {}events (turn, subject, type, version, time, data) SELECT pg_current_xact_id()::text::bigint, ("+hex+")::uuid, "+kindOf+`, 1, now(), '{"version":1}' FROM generate_series(1, `+fmt.Sprint(n)+") AS i")
	s.orderDB.exec(t, orders+"SELECT ("+hex+")::uuid, ("+id("lpad(to_hex(i * 100), 12, '0')")+")::uuid, "+rest+"now(), now() FROM generate_series(1, "+fmt.Sprint(n/100)+") AS i")
	s.usersDB.exec(t, "ANALYZE")
}

// followed returns the position of the last event that has taken effect.
func (s *shop) followed(t *testing.T) int64 {
	t.Helper()
	var cursor string
	err := s.orderDB.QueryRowContext(t.Context(), s.orderDB.in("SELECT coalesce(max(cursor), '0-0') FROM {}followed")).Scan(&cursor)
	require.NoError(t, err)
	n, err := strconv.ParseInt(cursor[strings.IndexByte(cursor, '-')+1:], 10, 64)
	require.NoError(t, err)
	return n
}

// pageTime returns the median duration of 50 reads of the page after a position.
func (s *shop) pageTime(t *testing.T, behind int64) time.Duration {
	t.Helper()
	turn := s.usersDB.one(t, "SELECT max(turn) FROM {}events")
	query := "?limit=500"
	if behind > 0 {
		query += fmt.Sprintf("&cursor=%d-%d", turn, behind)
	}
	times := make([]time.Duration, 50)
	for i := range times {
		began := time.Now()
		body := s.want(t, http.StatusOK, http.MethodGet, s.usersURL()+"/events"+query, "")
		times[i] = time.Since(began)
		require.Equal(t, 500, strings.Count(string(body), `"specversion"`))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// memory returns a value of a process's status, in KiB.
func memory(t *testing.T, pid int, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found)
	n, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return n
}
