package postgres

import (
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// stopGrace limits a fast shutdown, which rolls back open transactions and writes a
	// checkpoint. That takes long only on a very busy disk.
	stopGrace = 30 * time.Second
	// portTries is how many ports Start tries.
	portTries = 20
	// loopback is the default address of a server. It needs no password there.
	loopback = "127.0.0.1"
	// standardPort is PostgreSQL's standard port.
	standardPort = 5432
)

// Options are options of [Start]. The zero value is a durable server with enough
// connections for a whole test run.
type Options struct {
	// NoFsync is faster, but not durable against a power loss, which tests can't cause. A
	// killed server (see [Server.Kill]) keeps its data anyway.
	NoFsync bool
	// Listen is the address to listen on instead of 127.0.0.1, with PostgreSQL's standard
	// port, like a managed server. Clients need the password, which [Server.URL] has.
	Listen string
	// Port replaces the standard port with Listen.
	Port int
	// Settings are added to postgresql.conf, such as {"max_connections": "20"}.
	Settings map[string]string
	// Files are written to the cluster's folder, and replace existing ones: pg_hba.conf,
	// and files named by Settings.
	Files map[string]string
	// Parent is the folder for the server's folder; default: [os.TempDir].
	Parent string
}

// Server is a PostgreSQL server. It is safe for concurrent use. It has no goroutines, so
// leak checks don't see it.
type Server struct {
	bin   string
	major int
	dir   string
	port  int
	who   *syscall.Credential
	guard *guard

	host, password string

	mu   sync.Mutex
	proc *process // nil while killed or stopped
	gone bool     // stopped for good
}

// Start creates a database cluster in a temporary folder and starts a server on a free
// port of 127.0.0.1, with superuser "postgres" and no password. ctx limits the start
// only. The caller must call [Server.Stop]; if the process dies first, the server is
// stopped and removed anyway. Errors include [ErrNotInstalled].
//
// The cluster has the locale C and the encoding UTF8, so that nothing depends on a
// locale's collation.
func Start(ctx context.Context, options Options) (*Server, error) {
	installation, err := Find(ctx)
	if err != nil {
		return nil, err
	}
	who, err := account()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: installation.Bin, major: installation.Major, who: who, host: loopback}
	err = s.start(ctx, options, s.initialise)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Standby starts a streaming replica of the server, on a free port. It answers reads. ctx
// limits the start only. The caller must call [Server.Stop].
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	standby := &Server{bin: s.bin, major: s.major, who: s.who, host: loopback}
	err := standby.start(ctx, Options{}, func(ctx context.Context, _ Options) error {
		return standby.run(ctx, "pg_basebackup", "--pgdata", standby.Data(), "--dbname", s.URL("postgres"),
			"--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	})
	if err != nil {
		return nil, err
	}
	return standby, nil
}

// start creates the server's folder, fills it, and starts the server.
func (s *Server) start(ctx context.Context, options Options, fill func(context.Context, Options) error) (err error) {
	s.dir, err = makeDir(options.Parent, s.who)
	if err != nil {
		return fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	s.guard, err = newGuard(s.dir, s.who)
	if err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	err = fill(ctx, options)
	if err == nil {
		err = s.boot(ctx, options)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start PostgreSQL %d from %s: %w", s.major, s.bin, err), s.Stop())
	}
	return nil
}

// initialise creates the cluster.
func (s *Server) initialise(ctx context.Context, options Options) error {
	passwordFile, err := s.writePassword()
	if err != nil {
		return err
	}
	err = s.run(ctx, "initdb", "--pgdata", s.Data(), "--username", "postgres", "--pwfile", passwordFile,
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	return s.configure(options)
}

// run runs one of PostgreSQL's programs to its end.
func (s *Server) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	s.prepare(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// boot starts the server on a free port.
func (s *Server) boot(ctx context.Context, options Options) error {
	if options.Listen != "" {
		s.host, s.port = options.Listen, cmp.Or(options.Port, standardPort)
		return s.Restart(ctx)
	}
	for range portTries {
		var err error
		s.port, err = freePort(ctx)
		if err != nil {
			return err
		}
		err = s.Restart(ctx)
		if err == nil || ctx.Err() != nil || !strings.Contains(s.Log(), "could not bind") {
			return err
		}
		// Another process took the port after freePort found it.
	}
	return fmt.Errorf("no free port in %d tries", portTries)
}

// writePassword writes the superuser's password into a file for initdb.
func (s *Server) writePassword() (string, error) {
	s.password = cryptorand.Text()
	file := filepath.Join(s.dir, "password")
	return file, s.write(file, s.password+"\n")
}

// write writes a file that only the server may read.
func (s *Server) write(file, text string) error {
	err := os.WriteFile(file, []byte(text), 0o600)
	if err == nil && s.who != nil {
		err = os.Chown(file, int(s.who.Uid), int(s.who.Gid))
	}
	return err
}

// configure appends the settings to postgresql.conf, where the last line wins.
func (s *Server) configure(options Options) error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // nobody needs it, and its path would have to be short
		"max_connections":         "300",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C", // boot reads the log
		// Files in the cluster's folder, removed with it even after a kill; POSIX shared
		// memory would stay in /dev/shm.
		"dynamic_shared_memory_type": "mmap",
	}
	if options.Listen != "" {
		settings["listen_addresses"] = options.Listen
		err := os.WriteFile(filepath.Join(s.Data(), "pg_hba.conf"), []byte("host all all all scram-sha-256\n"), 0o600)
		if err != nil {
			return err
		}
	}
	for name, text := range options.Files {
		err := s.write(filepath.Join(s.Data(), name), text)
		if err != nil {
			return err
		}
	}
	if options.NoFsync {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	maps.Copy(settings, options.Settings)
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&lines, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return appendTo(filepath.Join(s.Data(), "postgresql.conf"), lines.String())
}

// appendTo appends text to a file.
func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// Restart starts the server after [Server.Kill], on the same port. It returns when the
// server has recovered and answers, or when ctx ends.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errors.New("the server was stopped")
	}
	if s.proc != nil {
		return errors.New("the server is running")
	}
	proc, err := s.launch()
	if err != nil {
		return err
	}
	err = s.ready(ctx, proc)
	if err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, s.Log()), proc.kill())
	}
	s.proc = proc
	return nil
}

// ready waits until proc itself reports that it accepts connections. On the port alone,
// another process that was faster to bind it could answer.
func (s *Server) ready(ctx context.Context, proc *process) error {
	for {
		exited, err := proc.exitedWithin(10 * time.Millisecond)
		if err != nil {
			return err
		}
		if exited {
			return errors.New("the server ended at once")
		}
		if s.status(proc.cmd.Process.Pid) == "ready" {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server is not ready yet: %w", context.Cause(ctx))
		}
	}
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// status returns what the server with this process id reports: "starting", "ready" or
// "stopping", or "" before its first report.
func (s *Server) status(pid int) string {
	lines := s.pidFile()
	if lines[0] != strconv.Itoa(pid) {
		return "" // left by a killed server
	}
	return strings.TrimSpace(lines[7])
}

// pidFile returns the eight lines of postmaster.pid; missing lines are empty.
func (s *Server) pidFile() [8]string {
	var lines [8]string
	content, err := os.ReadFile(filepath.Join(s.Data(), "postmaster.pid"))
	if err == nil {
		copy(lines[:], strings.Split(string(content), "\n"))
	}
	return lines
}

// Stop stops the server, rolls back open transactions, and removes its folder. Further
// calls do nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	s.gone = true
	var err error
	if s.proc != nil {
		err = s.proc.stop(stopGrace)
		s.proc = nil
	}
	// After a kill the server's System V segment is left: only 56 bytes with a lock, but
	// their number is limited. Line 7: "key id".
	if segment := strings.Fields(s.pidFile()[6]); len(segment) == 2 {
		_ = exec.Command("ipcrm", "-m", segment[1]).Run()
	}
	return errors.Join(err, os.RemoveAll(s.dir), s.guard.dismiss())
}

// Kill kills all processes of the server with SIGKILL, like a crash or the kernel's
// out-of-memory killer. The data stays for [Server.Restart].
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errors.New("the server is not running")
	}
	err := s.proc.kill()
	s.proc = nil
	return err
}

// URL returns the URL of a database on this server.
func (s *Server) URL(database string) string {
	user := "postgres"
	if s.host != loopback {
		user += ":" + s.password
	}
	return "postgres://" + user + "@" + s.Addr() + "/" + database + "?sslmode=disable"
}

// Addr returns the server's host and port, for a proxy in front of it. It stays the same
// across [Server.Kill] and [Server.Restart].
func (s *Server) Addr() string {
	return net.JoinHostPort(s.host, strconv.Itoa(s.port))
}

// Log returns the server's log so far.
func (s *Server) Log() string {
	content, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Data returns the folder of the database cluster's files.
func (s *Server) Data() string { return filepath.Join(s.dir, "data") }

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// freePort returns a port below the kernels' ephemeral ranges (from 32768 on
// Linux, 49152 elsewhere), so that no outgoing connection and no listener on
// port 0 takes it while a killed server is down.
func freePort(ctx context.Context) (int, error) {
	var err error
	for range portTries {
		port := 15000 + rand.IntN(32768-15000)
		var listener net.Listener
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}
