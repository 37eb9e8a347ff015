// Package simulation runs both services, with all that is theirs but the main packages and
// PostgreSQL, in one process and on one simulated clock (testing/synctest), beside clients,
// on a network that loses, tears, delays and doubles, on files that fail, and has the
// services die at any statement. One seed decides all of it: the same seed is the same
// story (docs/proof.md).
//
// What runs at the same time runs at different moments of the simulated clock: whatever is
// sent, and each statement of a database, takes a time that the seed decides. So the order of
// all steps that one can tell apart is the seed's, not that of Go's scheduler.
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

// The services' names are also those of their hosts.
const (
	users  = "user-service"
	orders = "order-service"
)

// faults are how often what goes wrong (shares of 1, and the longest times).
type faults struct {
	latency, statement, pause   time.Duration
	cut, torn, stalled, doubled float64
	failing                     float64 // statements that fail
	dying                       float64 // starts that end at some statement
	impatient                   float64 // requests that are given up on soon
	calm                        bool    // nothing but impatience
	clients, steps              int
}

// chooseFaults draws which faults there are: a few of many, so that each is also seen alone.
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
	healed atomic.Bool // nothing goes wrong any more
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

// random returns the random numbers of something that has a name: they don't depend on what
// else is drawn.
func (w *world) random(of ...string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(of, "/")))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// once is random for what happens again and again.
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

// wrong notes that something is not as it must be.
func (w *world) wrong(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	w.tell("WRONG", "%s", what)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, what)
}

// process is a service that dies and is started again on what it had committed.
type process struct {
	*world
	name     string
	followed events.Sink
	up       sync.WaitGroup // until the last one that was started has ended

	lock  sync.Mutex
	alive *life
	stop  bool
}

// life is from one start of a process to its end.
type life struct {
	*process
	number     int
	dead       chan struct{}
	die        sync.Once
	statements atomic.Int64
	last       int64 // the number of the statement before which it dies; 0: it doesn't
	dialled    []net.Conn
	close      func()
}

var errDead = errors.New("the process is dead")

var log = slog.New(slog.DiscardHandler)

// start starts a process, which comes back whenever it has died.
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
			<-time.After(time.Duration(1+i) * time.Millisecond) // not all at once, or they share a commit by chance
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

// kill ends a life: from now on nothing leaves the process, and no statement is run.
func (l *life) kill() { l.die.Do(func() { close(l.dead) }) }

func (l *life) isDead() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// statement is called before each statement: it takes its time, fails, or is the end.
func (l *life) statement(text string) error {
	if l.isDead() {
		return errDead
	}
	name := database.QueryName(text)
	if name == "query" {
		name = strings.Fields(text)[0]
		switch name {
		case "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA":
			return nil // what has an effect comes later
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

// dial is the network's for the process, which dials nobody once it is dead.
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

// seeded is what ids are made of.
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
