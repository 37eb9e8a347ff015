// Package delivery tests the commands and files that deliver the project to a cluster: that the
// commands change the files correctly, and that the files agree with each other.
package delivery

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
)

const root = "../.."

// must runs a program in a folder, and returns its output.
func must(t *testing.T, folder, program string, arguments ...string) string {
	t.Helper()
	out, err := try(folder, "", program, arguments...)
	require.NoError(t, err, "%s %s\n%s", program, strings.Join(arguments, " "), out)
	return out
}

// try runs a program in a folder, and returns all its output.
func try(folder, stdin, program string, arguments ...string) (string, error) {
	command := exec.Command(program, arguments...)
	command.Dir, command.Env = folder, checkout.Environ()
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(text)
}
