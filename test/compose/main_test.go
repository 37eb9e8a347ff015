//go:build e2e

package compose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const root = "../.."

// images is the folder that [supply] has filled.
var images string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if os.Getenv(insideVariable) != "" {
		images = filepath.Join(os.Getenv(insideVariable), "images")
		return inside(m.Run)
	}
	// Short, because the path of a socket may have about 100 characters.
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	images = filepath.Join(dir, "images")
	answers := exec.CommandContext(context.Background(), "docker", "info").Run() == nil
	err = prepare(!answers)
	if err != nil {
		return 1, err
	}
	if answers {
		return m.Run(), nil
	}
	return outside(dir)
}

// prepare downloads the images before, because an engine in namespaces has no network.
func prepare(engine bool) error {
	dependencies := []string{"./.ci/dependencies", "curl"}
	if engine {
		dependencies = append(dependencies, "docker.io")
	}
	for _, words := range [][]string{
		dependencies,
		{"./.ci/tool", "--path", "ko"},
		{"./.ci/tool", "--path", "compose"},
		{"go", "build", "-o", os.DevNull, "./services/..."},
	} {
		_, err := build(context.Background(), words...)
		if err != nil {
			return err
		}
	}
	return supply(context.Background(), images)
}
