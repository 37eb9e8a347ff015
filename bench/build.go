package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of the binaries.
type programs struct {
	users, orders, peer string
	// unchecked is order-service without the lookup in user-service.
	unchecked string
	// before is the user-service of another commit; "" without -before.
	before string
}

// moduleRoot returns the module's folder.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds the programs into dir, with additional flags and an environment.
func build(ctx context.Context, root, dir string, flags, env []string) (programs, error) {
	p := programs{
		users: filepath.Join(dir, "user-service"), orders: filepath.Join(dir, "order-service"),
		peer: filepath.Join(dir, "peer"), unchecked: filepath.Join(dir, "order-service-unchecked"),
	}
	unchecked, err := withoutCheck(root, dir)
	if err != nil {
		return p, err
	}
	for _, b := range [][]string{
		{p.users, "./services/user-service"},
		{p.orders, "./services/order-service"},
		{p.unchecked, "-overlay", unchecked, "./services/order-service"},
		{p.peer, "./bench/peer"},
	} {
		args := append(append([]string{"build", "-o", b[0]}, flags...), b[1:]...)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = root, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			return p, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return p, nil
}

// withoutCheck returns the overlay (go help build, -overlay) of an order-service for which every
// user exists. The rest of the program is the same.
func withoutCheck(root, dir string) (string, error) {
	service := filepath.Join(root, "services", "order-service")
	path := filepath.Join(service, "main.go")
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	given, wanted := []byte("order.New(kept, users)"), []byte("order.New(kept, everyone{})")
	if bytes.Count(source, given) != 1 {
		return "", fmt.Errorf("%s has changed: it must contain %q once", path, given)
	}
	changed, file := filepath.Join(dir, "unchecked-main.go"), filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {
		path:                                  changed,
		filepath.Join(service, "everyone.go"): filepath.Join(root, "bench", "overlay", "everyone.go.txt"),
	}})
	return file, errors.Join(err, os.WriteFile(changed, bytes.Replace(source, given, wanted, 1), 0o600), os.WriteFile(file, content, 0o600))
}
