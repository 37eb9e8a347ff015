package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	plain "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/example/microservices/pkg/database/sqlite"
)

// otherFile is the variable that makes the test binary act as another process. Its value
// is the file to open.
const otherFile = "TEST_OTHER_PROCESS"

func init() { // before TestMain, which is shared with other systems
	if path := os.Getenv(otherFile); path != "" {
		beAnother(path)
		os.Exit(0)
	}
}

// beAnother runs the statements from stdin, one per line, and answers each with its rows
// or its error.
func beAnother(path string) {
	conn, err := plain.OpenConn(path, plain.OpenReadWrite)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	conn.SetBusyTimeout(0) // the default waits for ever
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var rows []string
		err := sqlitex.ExecuteTransient(conn, lines.Text(), &sqlitex.ExecOptions{ResultFunc: func(s *plain.Stmt) error {
			for i := range s.ColumnCount() {
				rows = append(rows, s.ColumnText(i))
			}
			return nil
		}})
		if err != nil {
			rows = []string{err.Error()}
		}
		fmt.Fprintln(os.Stdout, strings.Join(rows, " "))
	}
	err = conn.Close()
	if err != nil {
		os.Exit(1)
	}
}

// another starts a process that opens the file, and returns a function that runs a
// statement in it.
func another(t *testing.T, path string) func(statement string) (answer string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), otherFile+"="+path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	answers := bufio.NewReader(out)
	return func(statement string) string {
		_, err := io.WriteString(in, statement+"\n")
		require.NoError(t, err)
		answer, err := answers.ReadString('\n')
		require.NoError(t, err)
		return strings.TrimSuffix(answer, "\n")
	}
}

// openHeld opens a database whose readers all hold a snapshot.
func openHeld(t *testing.T) (*sqlite.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlite.Open(path, noMigrations)
	require.NoError(t, err)
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec(t.Context(), "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")
		return err
	}))
	hold(t, db)
	return db, path
}

// hold makes all readers hold a snapshot.
func hold(t *testing.T, db *sqlite.DB) {
	t.Helper()
	for range db.Stats().Max {
		rows(t, db) // each read takes the reader that has been idle longest
	}
	require.Positive(t, db.Held())
}

func TestACommitOfAnotherProcessIsSeenByTheNextRead(t *testing.T) {
	db, path := openHeld(t)
	defer func() { require.NoError(t, db.Close()) }()
	run := another(t, path)
	for n := range 100 {
		require.Empty(t, run(fmt.Sprintf("INSERT INTO t VALUES (%d)", n)))
		require.Equal(t, n+1, rows(t, db))
	}
	require.Empty(t, run("ALTER TABLE t ADD COLUMN m INTEGER DEFAULT 7"))
	m, err := sqlite.One(t.Context(), db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, "SELECT m FROM t WHERE n = 1")
	require.NoError(t, err)
	require.EqualValues(t, 7, m, "the read has the new schema, too")
}

// TestTheWALStaysBounded: if snapshots were held during writes, checkpoints would stop at
// them, and the WAL would grow without a limit.
func TestTheWALStaysBounded(t *testing.T) {
	const writes, size, bound = 4000, 4000, 10 << 20 // each row takes at least one page
	for name, readsBeside := range map[string]bool{"idle readers": false, "busy readers": true} {
		t.Run(name, func(t *testing.T) {
			db, path := openHeld(t)
			defer func() { require.NoError(t, db.Close()) }()
			require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
				_, err := c.Exec(t.Context(), "CREATE TABLE big (n INTEGER PRIMARY KEY, b BLOB) STRICT")
				return err
			}))
			hold(t, db)
			ctx, stop := context.WithCancel(t.Context())
			var readers, writers sync.WaitGroup
			if readsBeside {
				for range 2 {
					readers.Go(func() {
						for ctx.Err() == nil {
							rows(t, db)
						}
					})
				}
			}
			for from := range 8 {
				writers.Go(func() {
					for n := from; n < writes; n += 8 {
						require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
							_, err := c.Exec(t.Context(), "INSERT INTO big VALUES (?, zeroblob(?))", n, size)
							return err
						}))
					}
				})
			}
			writers.Wait()
			stop()
			readers.Wait()
			log, err := os.Stat(path + "-wal")
			require.NoError(t, err)
			require.Less(t, log.Size(), int64(bound))
		})
	}
}

// TestIdleReadersReleaseTheirSnapshots: another process's checkpoint waits for them.
func TestIdleReadersReleaseTheirSnapshots(t *testing.T) {
	db, path := openHeld(t)
	defer func() { require.NoError(t, db.Close()) }()
	run := another(t, path)
	require.Equal(t, "30000", run("PRAGMA busy_timeout = 30000"))
	for n := range 3 {
		require.Empty(t, run(fmt.Sprintf("INSERT INTO t VALUES (%d)", n)))
		hold(t, db)
		require.Equal(t, "0 0 0", run("PRAGMA wal_checkpoint(TRUNCATE)"))
	}
}

func TestAnotherProcessMayCopyAHeldFileButNotLockIt(t *testing.T) {
	db, path := openHeld(t)
	run := another(t, path)
	target := filepath.Join(t.TempDir(), "copy.db")
	require.Empty(t, run("VACUUM INTO '"+target+"'"))
	require.Empty(t, run("VACUUM"))
	require.Equal(t, "exclusive", run("PRAGMA locking_mode = EXCLUSIVE"))
	require.Contains(t, run("BEGIN EXCLUSIVE"), "locked")
	require.NoError(t, db.Close())
	require.Empty(t, run("BEGIN EXCLUSIVE"), "no snapshot is held any more")
}

func TestAFailedReadHoldsNoSnapshot(t *testing.T) {
	db, _ := openHeld(t)
	defer func() { require.NoError(t, db.Close()) }()
	refusal := errors.New("refused")
	for range db.Stats().Max {
		require.ErrorIs(t, db.Read(t.Context(), func(*sqlite.Conn) error { return refusal }), refusal)
	}
	require.Zero(t, db.Held())
	require.Zero(t, rows(t, db), "the next read works")
}

func TestTheMappingOfTheLogsIndex(t *testing.T) {
	const file = "/data/a b/x.db-shm"
	for line, want := range map[string]uint64{
		"7f01a000-7f022000 rw-s 00000000 fe:01 1234                     /data/a b/x.db-shm":           0x7f01a000,
		"7f01a000-7f022000 rw-s 00008000 fe:01 1234                     /data/a b/x.db-shm":           0,
		"7f01a000-7f022000 rw-s 00000000 fe:01 1234                     /data/a b/x.db-shm (deleted)": 0,
		"7f01a000-7f022000 rw-s 00000000 fe:01 1234                     /data/x.db-shm":               0,
		"7f01a000-7f022000 rw-p 00000000 00:00 0 ":                                                    0,
		"": 0,
	} {
		require.Equal(t, want, sqlite.ParseMapping(line, file), line)
	}
}
