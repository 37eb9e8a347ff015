package sqlite_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheLocksOfTheWALIndexStay: closing a file releases all locks of the process on it
// (fcntl(2)). Without this lock, another process would recreate the wal-index while it is
// in use.
func TestTheLocksOfTheWALIndexStay(t *testing.T) {
	db, path := openHeld(t)
	defer func() { require.NoError(t, db.Close()) }()
	index, err := os.Stat(path + "-shm")
	require.NoError(t, err)
	stat, ok := index.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	locks, err := os.ReadFile("/proc/locks")
	require.NoError(t, err)
	require.Contains(t, string(locks), fmt.Sprintf(":%d 128 128\n", stat.Ino), "the lock that SQLite holds on an open wal-index")
}
