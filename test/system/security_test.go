package system

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTestsThatSECURITYNamesExist(t *testing.T) {
	document, err := os.ReadFile("../../SECURITY.md")
	require.NoError(t, err)
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		tests.Write(content)
		return err
	})
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)").FindAllStringSubmatch(string(document), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		if name[1] == "TestName" {
			continue
		}
		require.Contains(t, tests.String(), "func "+name[1]+"(", "SECURITY.md names %s", name[1])
	}
}
