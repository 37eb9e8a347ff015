package compose

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWithoutDockerOneLineSaysWhatToDo is the only test here that needs no engine.
func TestWithoutDockerOneLineSaysWhatToDo(t *testing.T) {
	for _, row := range []struct{ name, docker, want string }{
		{"not installed", "", "Docker is not installed: install it (https://docs.docker.com/engine/install/; on Debian: apt-get install docker.io), or run without it: make run\n"},
		{
			"not running", "echo; echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1",
			"Docker does not respond: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running? Start it, or run without it: make run\n",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			programs := t.TempDir() // the whole PATH
			for _, program := range []string{"bash", "dirname"} {
				path, err := exec.LookPath(program)
				require.NoError(t, err)
				require.NoError(t, os.Symlink(path, filepath.Join(programs, program)))
			}
			if row.docker != "" {
				require.NoError(t, os.WriteFile(filepath.Join(programs, "docker"), []byte("#!/bin/sh\n"+row.docker+"\n"), 0o700)) // fails like docker
			}
			for _, verb := range []string{"up", "down"} {
				command := exec.CommandContext(t.Context(), "../../.ci/compose", verb)
				command.Env = []string{"PATH=" + programs}
				out, err := command.CombinedOutput()
				require.Error(t, err)
				require.Equal(t, row.want, string(out))
			}
		})
	}
}
