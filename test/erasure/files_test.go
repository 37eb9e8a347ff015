package erasure

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// requireNowhere requires that a text is soon in none of SQLite's files.
func (s *shop) requireNowhere(t *testing.T, text string) {
	t.Helper()
	if s.kind != "sqlite" {
		return
	}
	var found []string
	defer func() {
		if len(found) > 0 {
			t.Logf("%s is in %v", text, found)
		}
	}()
	apitest.Eventually(t, "it is in no file", func() bool {
		found = nil
		for _, folder := range []string{s.usersDB.folder, s.orderDB.folder} {
			found = append(found, within(t, folder, text)...)
		}
		return len(found) == 0
	})
}

// within returns the files in a folder that contain a text.
func within(t *testing.T, folder, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ignoreGone(err)
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, path)
		}
		return ignoreGone(err)
	})
	require.NoError(t, err)
	return found
}

// ignoreGone ignores that a file doesn't exist: a running service removes files.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
