// Package simulation runs both services and their clients in one process and on one
// simulated clock (testing/synctest); only the main packages and PostgreSQL are left out.
// The network loses, truncates, delays and duplicates messages, statements fail, and the
// services die at any statement. One seed decides everything: the same seed gives the same
// story (docs/proof.md).
//
// Concurrent steps happen at different moments of the simulated clock: the seed decides how
// long each packet and each statement takes. So the seed decides the order of all
// observable steps, not Go's scheduler.
package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/service"
	orderservice "github.com/example/microservices/services/order-service/simulationtest"
	userservice "github.com/example/microservices/services/user-service/simulationtest"
)

// The services' names, which are also their hosts.
const (
	users  = "user-service"
	orders = "order-service"
)

// faults says how often which fault happens, as shares of 1, and the maximum durations.
type faults struct {
	latency, statement, pause   time.Duration
	cut, torn, stalled, doubled float64
	failing                     float64 // statements that fail
	dying                       float64 // starts that end with a death at some statement
	impatient                   float64 // requests that the client gives up on soon
	calm                        bool    // no fault but impatience
	clients, steps              int
}

// chooseFaults draws some of the possible faults, so that each also occurs alone.
func chooseFaults(random *rand.Rand) faults {
	some := func(most float64) float64 {
		if random.IntN(2) == 0 {
			return 0
		}
		return most * random.Float64()
	}
	f := faults{latency: 2 + upTo(random, 40*time.Millisecond), statement: 2 + upTo(random, 4*time.Millisecond), pause: 100*time.Millisecond + upTo(random, 2500*time.Millisecond), clients: 2 + random.IntN(4), steps: 8 + random.IntN(10)}
	if random.IntN(4) == 0 {
		f.latency = 150 * time.Millisecond
	}
	f.impatient = some(0.5)
	f.calm = random.IntN(4) == 0
	if !f.calm {
		f.cut, f.torn, f.stalled, f.doubled = some(0.1), some(0.1), some(0.05), some(0.15)
		f.failing, f.dying = some(0.05), some(1)
	}
	return f
}

// world is one run.
type world struct {
	seed   uint64
	faults faults
	folder string
	began  time.Time
	healed atomic.Bool // no more faults
	network
	services map[string]*process

	mu       sync.Mutex
	story    []string
	problems []string
	drawn    map[string]int
}

func newWorld(seed uint64, folder string) *world {
	w := &world{seed: seed, folder: folder, began: time.Now(), services: map[string]*process{}, drawn: map[string]int{}}
	w.network = network{world: w, listeners: map[string]*listener{}, dialled: map[string]int{}, sent: map[string]int{}}
	w.faults = chooseFaults(w.random("faults"))
	return w
}

// random returns random numbers for a name. They don't depend on numbers drawn for other
// names.
func (w *world) random(of ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(of, "/")))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// once returns new random numbers for each call with a name.
func (w *world) once(of string) *rand.Rand {
	w.mu.Lock()
	w.drawn[of]++
	n := w.drawn[of]
	w.mu.Unlock()
	return w.random(of, fmt.Sprint(n))
}

// tell adds a line to the story.
func (w *world) tell(who, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%10.6f  %-13s %s", time.Since(w.began).Seconds(), who, fmt.Sprintf(format, args...)))
}

// wrong records a violation of a rule.
func (w *world) wrong(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	w.tell("WRONG", "%s", what)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, what)
}

// process is a service that may die, and is then started again on its committed data.
type process struct {
	*world
	name     string
	followed events.Sink
	up       sync.WaitGroup // until the last life has ended

	lock  sync.Mutex
	alive *life
	stop  bool
}

// life is a process from one start to its death.
type life struct {
	*process
	number     int
	dead       chan struct{}
	die        sync.Once
	statements atomic.Int64
	last       int64 // the statement at which it dies; 0: none
	dialled    []net.Conn
	close      func()
}

var errDead = errors.New("the process is dead")

var log = slog.New(slog.DiscardHandler)

// start starts a process. After each death it starts again.
func (w *world) start(name string) {
	p := &process{world: w, name: name}
	w.services[name] = p
	data, err := os.ReadFile(filepath.Join(w.folder, name+".db"))
	if err == nil {
		err = os.WriteFile(p.file(), data, 0o600)
	}
	if err != nil {
		panic(err)
	}
	p.begin(1)
}

func (p *process) file() string {
	return filepath.Join(p.folder, fmt.Sprint("seed-", p.seed, "-", p.name, ".db"))
}

// begin starts the process for the nth time.
func (p *process) begin(n int) {
	l := &life{process: p, number: n, dead: make(chan struct{})}
	random := p.random("life", p.name, fmt.Sprint(n))
	if random.Float64() < p.faults.dying && n < 6 && !p.healed.Load() {
		l.last = 1 + random.Int64N(400)
	}
	var app *service.App
	var config *service.Config
	var err error
	pause := func(of string) { <-time.After(1 + upTo(p.once(of), time.Millisecond)) }
	if p.name == users {
		app, config, err = userservice.Open(context.Background(), p.file(), l.statement, pause)
	} else {
		app, config, p.followed, err = orderservice.Open(context.Background(), orderservice.World{
			File: p.file(), Intercept: l.statement, UserService: "http://" + users, Dial: l.dial,
			Pause:  pause,
			Jitter: func(n time.Duration) time.Duration { return upTo(p.once("jitter "+p.name), n) },
		})
	}
	if err != nil {
		panic(err)
	}
	p.tell(p.name, "starts")
	server := config.Server(app.Handler, log)
	listener := &listener{dead: l.dead, waiting: make(chan *conn, 10_000)}
	background, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	for i, work := range app.Background {
		running.Go(func() {
			<-time.After(time.Duration(1+i) * time.Millisecond) // at different moments, or it is random whether they share a commit
			_ = work(background)
		})
	}
	l.close = func() {
		_ = listener.Close()
		l.lock.Lock()
		for _, c := range l.dialled {
			_ = c.Close()
		}
		l.lock.Unlock()
		app.Stop()
		_ = server.Close()
		stop()
		running.Wait()
		_ = app.Close()
	}
	p.network.mu.Lock()
	p.listeners[p.name] = listener
	p.network.mu.Unlock()
	p.lock.Lock()
	p.alive = l
	p.lock.Unlock()
	p.up.Go(func() {
		<-l.dead
		l.close()
		p.lock.Lock()
		ended := p.stop
		p.lock.Unlock()
		if !ended {
			<-time.After(upTo(random, 3*time.Second))
			p.begin(n + 1)
		}
	})
}

// end ends the process for good.
func (p *process) end() {
	p.lock.Lock()
	p.stop = true
	l := p.alive
	p.lock.Unlock()
	l.kill()
	p.up.Wait()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(p.file() + suffix)
	}
}

// kill ends a life: from now on the process sends nothing, and runs no statement.
func (l *life) kill() { l.die.Do(func() { close(l.dead) }) }

func (l *life) isDead() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// statement is called before each statement. It takes simulated time, fails, or kills the
// process.
func (l *life) statement(text string) error {
	if l.isDead() {
		return errDead
	}
	name := database.QueryName(text)
	if name == "query" {
		name = strings.Fields(text)[0]
		switch name {
		case "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA":
			return nil // the statements with an effect follow
		}
	}
	random := l.once(l.name + " " + name)
	<-time.After(1 + upTo(random, l.faults.statement))
	n := l.statements.Add(1)
	switch {
	case l.isDead():
		return errDead
	case n == l.last && !l.healed.Load():
		after := name == "COMMIT" && random.IntN(2) == 0
		l.tell(l.name, "dies %s %s", map[bool]string{false: "before", true: "after"}[after], name)
		l.kill()
		if after {
			return nil
		}
		return errDead
	case random.Float64() < l.faults.failing && !l.healed.Load():
		l.tell(l.name, "%s fails", name)
		return database.Unavailable(errors.New("the disk failed"))
	}
	return nil
}

// dial is the network's dial for the process, and fails once the process is dead.
func (l *life) dial(purpose string) func(context.Context, string, string) (net.Conn, error) {
	dial := l.network.dial(fmt.Sprintf("%s %s", l.name, purpose))
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		l.lock.Lock()
		defer l.lock.Unlock()
		if err == nil && l.isDead() {
			_ = c.Close()
			return nil, errDead
		}
		if err == nil {
			c.(*conn).dead = l.dead
			l.dialled = append(l.dialled, c)
		}
		return c, err
	}
}

// seeded is the random source of ids.
type seeded struct {
	sync.Mutex
	*rand.ChaCha8
}

func (s *seeded) Read(p []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.ChaCha8.Read(p)
}

func seedIDs(seed uint64) {
	uuid.SetRand(&seeded{ChaCha8: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})})
}
