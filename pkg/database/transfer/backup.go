package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// stamp is the time in the name of a backup, in UTC. The names sort by time.
const stamp = "20060102T150405Z"

// Backup writes a consistent copy of the SQLite file at source to a new file, while
// others may write to source. to is the new file, or a folder for a file named after
// source and the time. In a folder, the newest keep backups are kept; 0 keeps all. Backup
// returns the name of the file. A file with that name is complete, checked and flushed to
// disk.
func (s Store) Backup(ctx context.Context, source, to string, keep int, log *slog.Logger) (string, error) {
	target, isFolder := to, false
	info, err := os.Stat(to)
	if err == nil {
		isFolder = info.IsDir()
		target = filepath.Join(to, base(source)+"-"+time.Now().UTC().Format(stamp)+".db")
	}
	_, err = os.Stat(target)
	switch {
	case err == nil || !isFolder && info != nil:
		return "", fmt.Errorf("%s exists already", target)
	case keep != 0 && !isFolder:
		return "", fmt.Errorf("%s is not a folder: remove KEEP", to)
	}
	err = s.snapshot(ctx, source, target, base(source), func() error { return nil }, log)
	if err != nil {
		return "", fmt.Errorf("back %s up: %w", source, err)
	}
	if keep == 0 {
		return target, nil
	}
	return target, prune(to, base(source), keep, log)
}

// Restore puts a backup in place as the SQLite file at target. If backup is a folder, it
// takes the newest backup in it of a file with target's name. It returns an error, and
// changes nothing, if target has rows or another process has it open. The next start
// migrates an older schema.
func (s Store) Restore(ctx context.Context, backup, target string, log *slog.Logger) error {
	info, err := os.Stat(backup)
	if err == nil && info.IsDir() {
		found, err := backups(backup, base(target))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s has no backup of %s: none is named %s-TIME.db", backup, filepath.Base(target), base(target))
		}
		backup = filepath.Join(backup, found[len(found)-1])
	}
	err = s.vacant(ctx, target) // check early, before the copy
	if err != nil {
		return err
	}
	err = s.snapshot(ctx, backup, target, base(target), func() error { return s.vacant(ctx, target) }, log)
	if err != nil {
		return fmt.Errorf("restore %s: %w", backup, err)
	}
	return nil
}

// snapshot writes a consistent copy of a SQLite file to target. It calls ready before it
// renames the copy to target. name is that of the database, in the name of the unfinished
// copy.
func (s Store) snapshot(ctx context.Context, source, target, name string, ready func() error, log *slog.Logger) (err error) {
	began := time.Now()
	from, err := open(source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	partial := filepath.Join(filepath.Dir(target), "."+name+".partial")
	// One at a time. The file of a killed process is overwritten.
	lock := flock.New(partial, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if !got {
		return fmt.Errorf("%s is being written by another process", partial)
	}
	err = os.Truncate(partial, 0)
	if err != nil {
		return err
	}
	_, err = from.ExecContext(ctx, "VACUUM INTO $1", partial)
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	rows, err := s.finish(ctx, partial, target, ready)
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	log.InfoContext(ctx, "wrote a database file", slog.String("from", source), slog.String("file", target), slog.Any("rows", rows), slog.Int64("duration_us", time.Since(began).Microseconds()))
	return syncFolder(filepath.Dir(target))
}

// finish checks the copy, flushes it to disk and renames it.
func (s Store) finish(ctx context.Context, partial, target string, ready func() error) (map[string]int64, error) {
	written, err := open(partial)
	if err != nil {
		return nil, err
	}
	rows, err := s.check(ctx, written)
	err = errors.Join(err, written.Close())
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Clean(partial), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(file.Sync(), file.Close())
	if err != nil {
		return nil, err
	}
	err = ready()
	if err != nil {
		return nil, err
	}
	return rows, os.Rename(partial, target)
}

// vacant returns nil if the SQLite file at path can be replaced without a loss: it
// doesn't exist, or it has no rows and no process has it open.
func (s Store) vacant(ctx context.Context, path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		// A WAL left by a removed database would be applied to the new one.
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			err = os.Remove(path + suffix)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	db, err := hold(ctx, path)
	if err != nil {
		return err
	}
	tables, err := names(ctx, db, inFile, s.SQLite.Table)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	rows, err := count(ctx, db, tables)
	for table, n := range rows {
		if n > 0 {
			err = fmt.Errorf("%s has %d rows in %s: move the file and the files that begin with its name elsewhere first", path, n, table)
		}
	}
	return errors.Join(err, db.Close()) // also removes its WAL
}

// base returns the name of a database file without .db.
func base(path string) string { return strings.TrimSuffix(filepath.Base(path), ".db") }

// backups returns the names of the backups of a database in a folder, oldest first.
func backups(folder, name string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	backup := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `-\d{8}T\d{6}Z\.db$`)
	var found []string
	for _, e := range entries {
		if backup.MatchString(e.Name()) {
			found = append(found, e.Name())
		}
	}
	slices.Sort(found)
	return found, nil
}

// prune removes the oldest backups of a database, until keep are left.
func prune(folder, name string, keep int, log *slog.Logger) error {
	found, err := backups(folder, name)
	if err != nil {
		return err
	}
	for len(found) > keep {
		err := os.Remove(filepath.Join(folder, found[0]))
		if err != nil {
			return err
		}
		log.Info("removed an old backup", slog.String("file", found[0]))
		found = found[1:]
	}
	return nil
}
