package issuer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFolderKeepsItsKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "issuer")
	first, err := Folder(dir)
	require.NoError(t, err)
	second, err := Folder(dir)
	require.NoError(t, err)
	require.Equal(t, first.Key().KeyID, second.Key().KeyID)
	info, err := os.Stat(filepath.Join(dir, "key.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	set, err := os.ReadFile(filepath.Join(dir, "jwks.json"))
	require.NoError(t, err)
	require.NotContains(t, string(set), `"d":`, "the private part")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.json"), []byte("nothing"), 0o600))
	_, err = Folder(dir)
	require.ErrorContains(t, err, "remove it for a new one")
}

func TestComposeMountsThePublishedFiles(t *testing.T) {
	i, err := New()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "public")
	require.NoError(t, i.Publish(dir, map[string]string{"order-service": "a token"}))
	compose, err := os.ReadFile("../../../docker-compose.auth.yml")
	require.NoError(t, err)
	require.Contains(t, string(compose), `"issuer":"`+URL+`"`)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		require.Contains(t, string(compose), "/issuer/"+file.Name())
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "a container's user reads it")
	}
}
