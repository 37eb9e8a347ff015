package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/catalog"
	programs "github.com/example/microservices/internal/testkit/process"
)

// The services of the tests; there may be others.
const (
	userService  = "user-service"
	orderService = "order-service"
)

// two returns the two services of the tests, as in service.yaml.
func two(t *testing.T) []catalog.Service {
	t.Helper()
	all, err := catalog.Read("../..")
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(s catalog.Service) bool { return s.Name != userService && s.Name != orderService })
}

func settingsOf(t *testing.T, userPort, orderPort int, dataDir string) settings {
	t.Helper()
	return settings{services: two(t), ports: map[string]int{userService: userPort, orderService: orderPort}, elsewhere: map[string]bool{}, dataDir: dataDir}
}

// The tests run fake services: this test binary under the services' names, which then
// behaves as the file next to it says.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == userService || name == orderService {
		os.Exit(fakeService(name))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		err := programs.Clean()
		if err != nil {
			fmt.Println(err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// Behaviours of a fake service.
const (
	good     = "good"
	failing  = "failing"  // ends at once with exit code 2
	unready  = "unready"  // is never ready
	stubborn = "stubborn" // ignores SIGTERM
)

// fakes returns a folder with both services, with the given behaviours.
func fakes(t *testing.T, user, order string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for name, behavior := range map[string]string{userService: user, orderService: order} {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".behavior"), []byte(behavior), 0o600))
	}
	return dir
}

// fakeService is the main function of a fake service. It prints its variables, serves
// readiness checks, and ends on SIGTERM or a request to /fail.
func fakeService(name string) int {
	content, err := os.ReadFile(os.Args[0] + ".behavior")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	behavior := string(content)
	if behavior == failing {
		fmt.Println("this went wrong")
		return 2
	}
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		fmt.Println("has", variable)
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if behavior == unready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /fail", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	server := http.Server{Addr: net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), Handler: mux}
	go func() {
		<-stop.Done()
		fmt.Println(name, "was told to stop")
		if behavior != stubborn {
			_ = server.Close() // its listener may have failed
		}
	}()
	err = server.ListenAndServe()
	if !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		return 1
	}
	return 0
}
