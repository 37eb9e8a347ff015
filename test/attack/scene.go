package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/internal/testkit/issuer"
)

// MemoryLimit is a pod's memory limit by the chart's default, in bytes. goMemoryLimit is
// the part of it for GOMEMLIMIT.
const (
	MemoryLimit   = 256 << 20
	goMemoryLimit = MemoryLimit / 10 * 9
)

// Scene is both services, with tokens required, an attacker with a hundred large orders,
// and a bystander with one order.
type Scene struct {
	Target    Target
	Bystander Bystander
	// Neighbour is a caller of user-service, which isn't attacked. Its latency shows the
	// effect of the machine, which all processes share here.
	Neighbour Bystander
	// light is a caller with few requests, for Ordinary.
	light    Bystander
	attacker string
	orders   *server.Server
	confined *group // nil without control groups
	stop     []func() error
}

// Programs are the paths of the binaries.
type Programs struct{ Users, Orders, Attacker string }

// Job tells the attacker's process what to do.
type Job struct {
	Attack string
	Target Target
	Span   time.Duration
}

// Set starts the services on the databases, and creates the users and orders. The
// services' files are in dir.
func Set(ctx context.Context, dir string, p Programs, usersDatabase, ordersDatabase string) (_ *Scene, err error) {
	s := &Scene{attacker: p.Attacker}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	i, err := issuer.New()
	if err != nil {
		return nil, err
	}
	keys := httptest.NewServer(i)
	s.stop = append(s.stop, func() error { keys.Close(); return nil })
	token := func(subject, scopes string) (string, error) {
		return i.Token([]string{"user-service", "order-service"}, subject, scopes)
	}
	service, err := token("order-service", "users:lookup events:read")
	if err != nil {
		return nil, err
	}
	tokenFile := filepath.Join(dir, "token")
	err = issuer.WriteToken(tokenFile, service)
	if err != nil {
		return nil, err
	}
	users, err := s.start(ctx, dir, p.Users, "DATABASE_URL="+usersDatabase, "AUTH_ISSUERS="+i.Setting("user-service", keys.URL))
	if err != nil {
		return nil, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, adminPort, _ := net.SplitHostPort(admin)
	s.orders, err = s.start(ctx, dir, p.Orders, "DATABASE_URL="+ordersDatabase, "AUTH_ISSUERS="+i.Setting("order-service", keys.URL),
		"USER_SERVICE_URL=http://"+users.Address, "USER_CLIENT_TOKEN_FILE="+tokenFile, "ADMIN_PORT="+adminPort,
		"GOMEMLIMIT="+strconv.Itoa(goMemoryLimit))
	if err != nil {
		return nil, err
	}
	s.confined, err = confine(s.orders.PID, MemoryLimit)
	if err != nil {
		return nil, err
	}
	attacker, bystander, light := uuid.NewString(), uuid.NewString(), uuid.NewString()
	s.Target = Target{Address: s.orders.Address}
	s.Target.Token, err = token(attacker, "users:write orders:read orders:write")
	if err != nil {
		return nil, err
	}
	s.Target.Order, err = s.fill(ctx, users.Address, s.Target.Token, attacker, largeOrder(attacker), 100)
	if err != nil {
		return nil, err
	}
	neighbour := uuid.NewString()
	s.Neighbour = Bystander{Address: users.Address, Admin: users.Address, Path: "/api/v1/users/" + neighbour, ProbeTimeout: time.Second}
	s.Neighbour.Token, err = token(neighbour, "users:write users:read")
	if err == nil {
		_, err = s.fill(ctx, users.Address, s.Neighbour.Token, neighbour, "", 0)
	}
	if err != nil {
		return nil, err
	}
	for subject, b := range map[string]*Bystander{bystander: &s.Bystander, light: &s.light} {
		*b = Bystander{Address: s.orders.Address, Admin: admin, Path: ordersPath + "?limit=1", ProbeTimeout: time.Second}
		b.Token, err = token(subject, "users:write orders:read orders:write")
		if err != nil {
			return nil, err
		}
		_, err = s.fill(ctx, users.Address, b.Token, subject, smallOrder(subject), 1)
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Scene) start(ctx context.Context, dir, binary string, env ...string) (*server.Server, error) {
	started, err := server.Start(dir, binary, env...)
	if err != nil {
		return nil, err
	}
	s.stop = append(s.stop, started.Stop)
	_, err = started.Ready(ctx)
	return started, err
}

// freeAddress returns an address with a free port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func smallOrder(user string) string {
	return `{"user_id":"` + user + `","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`
}

// largeOrder is an order of the maximum size.
func largeOrder(user string) string {
	item := `{"product_id":"` + strings.Repeat("語", 100) + `","product_name":"` + strings.Repeat("語", 200) + `","quantity":1,"price":1}`
	return `{"user_id":"` + user + `","shipping_address":"` + strings.Repeat("語", 500) + `","items":[` + strings.TrimSuffix(strings.Repeat(item+",", 100), ",") + `]}`
}

// fill creates a user and n orders, and returns the last order's id.
func (s *Scene) fill(ctx context.Context, users, token, subject, order string, n int) (id string, err error) {
	_, err = create(ctx, "http://"+users+"/api/v1/users", token, `{"name":"A","email":"`+subject+`@example.com"}`)
	for range n {
		if err == nil {
			id, err = create(ctx, "http://"+s.orders.Address+ordersPath, token, order)
		}
	}
	return id, err
}

// create creates a resource, and returns its id. It repeats a request that gets 429.
func create(ctx context.Context, url, token, body string) (string, error) {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		said, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return "", err
		}
		switch response.StatusCode {
		case http.StatusCreated:
			var made struct{ ID string }
			err = json.Unmarshal(said, &made)
			return made.ID, err
		case http.StatusTooManyRequests:
			rest(ctx, 100*time.Millisecond)
		default:
			return "", fmt.Errorf("POST %s: %s %s", url, response.Status, said)
		}
	}
}

// Both are the results of the bystander and the neighbour.
type Both struct{ Bystander, Neighbour Fared }

// watch has both send requests until ctx is done.
func (s *Scene) watch(ctx context.Context) (b Both) {
	var both sync.WaitGroup
	both.Go(func() { b.Neighbour = s.Neighbour.Watch(ctx) })
	both.Go(func() { b.Bystander = s.Bystander.Watch(ctx) })
	both.Wait()
	return b
}

// Ordinary returns their results without an attack, beside the light caller.
func (s *Scene) Ordinary(ctx context.Context, span time.Duration) Both {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var light sync.WaitGroup
	light.Go(func() { s.light.Watch(ctx) })
	defer light.Wait()
	return s.watch(ctx)
}

// Under returns their results during an attack on order-service, and the attacker's.
func (s *Scene) Under(ctx context.Context, a Attack, span time.Duration) (b Both, r Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, span+time.Minute)
	defer cancel()
	job, err := json.Marshal(Job{Attack: a.Name, Target: s.Target, Span: span})
	if err != nil {
		return b, r, err
	}
	// The attacker has the lowest priority: in reality it would be on another machine.
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", s.attacker)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(job), os.Stderr
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	err = cmd.Start()
	if err != nil {
		return b, r, err
	}
	watching, stop := context.WithCancel(ctx)
	fared := make(chan Both, 1)
	go func() { fared <- s.watch(watching) }()
	err = cmd.Wait()
	stop()
	b = <-fared
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &r)
	}
	return b, r, err
}

// Memory returns the attacked service's peak memory, in bytes.
func (s *Scene) Memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.orders.PID))
	if err != nil {
		return 0, err
	}
	_, after, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0, errors.New("the process has ended")
	}
	fields := strings.Fields(after)
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10, err
}

// Refused returns the attacked service's metrics of rejected requests that aren't zero.
func (s *Scene) Refused(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Bystander.Admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	var refused []string
	for line := range strings.Lines(string(all)) {
		if (strings.HasPrefix(line, "overload_refused") || strings.HasPrefix(line, "request_memory_refused")) && !strings.HasSuffix(line, " 0\n") {
			refused = append(refused, strings.TrimSpace(line))
		}
	}
	return strings.Join(refused, ", "), err
}

// Confined reports whether a control group enforces the memory limit: it would kill the
// service above it.
func (s *Scene) Confined() bool { return s.confined != nil }

// Close stops everything, in reverse order.
func (s *Scene) Close() error {
	var errs []error
	for i := len(s.stop) - 1; i >= 0; i-- {
		errs = append(errs, s.stop[i]())
	}
	s.stop = nil
	if s.confined != nil {
		errs = append(errs, s.confined.remove())
	}
	return errors.Join(errs...)
}
