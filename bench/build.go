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
	users, orders, baseline string
	// unchecked is order-service without the look at user-service.
	unchecked string
	// before is the user-service of another commit; "" where none is asked for.
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

// build builds the programs into dir, with further flags and an environment.
func build(ctx context.Context, root, dir string, profiled bool, flags, env []string) (programs, error) {
	p := programs{
		users: filepath.Join(dir, "user-service"), orders: filepath.Join(dir, "order-service"),
		baseline: filepath.Join(dir, "baseline"), unchecked: filepath.Join(dir, "order-service-unchecked"),
	}
	plain := overlay{}
	if profiled {
		for _, service := range []string{"user-service", "order-service"} {
			plain[filepath.Join(root, "services", service, "profile.go")] = filepath.Join(root, "bench", "overlay", "profile.go.txt")
		}
	}
	unchecked, err := withoutCheck(root, dir, plain)
	if err != nil {
		return p, err
	}
	for _, b := range []struct {
		path, source string
		overlay      overlay
	}{
		{p.users, "./services/user-service", plain},
		{p.orders, "./services/order-service", plain},
		{p.unchecked, "./services/order-service", unchecked},
		{p.baseline, "./bench/baseline", overlay{}},
	} {
		file, err := b.overlay.write(dir)
		if err != nil {
			return p, err
		}
		args := append([]string{"build", "-overlay", file, "-o", b.path}, flags...)
		cmd := exec.CommandContext(ctx, "go", append(args, b.source)...)
		cmd.Dir, cmd.Env = root, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			return p, fmt.Errorf("build %s: %w\n%s", b.source, err, out)
		}
	}
	return p, nil
}

// overlay puts files in the place of others for a build (go help build,
// -overlay): a path in the module, and the file that is read instead.
type overlay map[string]string

func (o overlay) write(dir string) (string, error) {
	content, err := json.Marshal(map[string]overlay{"Replace": o})
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, "overlay-*.json")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	return file.Name(), errors.Join(err, file.Close())
}

// withoutCheck returns the overlay of an order-service that takes every user
// for known. All the rest is the same program.
func withoutCheck(root, dir string, base overlay) (overlay, error) {
	path := filepath.Join(root, "services", "order-service", "main.go")
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	given, wanted := []byte("order.New(kept, users)"), []byte("order.New(kept, everyone{})")
	if bytes.Count(source, given) != 1 {
		return nil, fmt.Errorf("%s has changed: bench looks for %q in it, once", path, given)
	}
	source = bytes.Replace(source, given, wanted, 1)
	changed := filepath.Join(dir, "unchecked-main.go")
	err = os.WriteFile(changed, source, 0o600)
	if err != nil {
		return nil, err
	}
	o := overlay{
		path: changed,
		filepath.Join(root, "services", "order-service", "everyone.go"): filepath.Join(root, "bench", "overlay", "everyone.go.txt"),
	}
	for at, file := range base {
		o[at] = file
	}
	return o, nil
}
