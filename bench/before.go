package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// buildBefore builds the user-service of another commit into dir, and returns its path.
func buildBefore(ctx context.Context, root, dir, commit string) (string, error) {
	tree, binary := filepath.Join(dir, "before"), filepath.Join(dir, "user-service-before")
	cmd := exec.CommandContext(ctx, "sh", "-c", `set -e
		mkdir "$3"
		git -C "$1" archive "$2" | tar -x -C "$3"
		cd "$3"
		go build -trimpath -o "$4" ./services/user-service`, "sh", root, commit, tree, binary)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the user-service of %s: %w\n%s", commit, err, out)
	}
	return binary, nil
}

// benchBefore compares user-service with that of the commit given by -before: reading,
// creating and changing a user, with tokens.
func benchBefore(ctx context.Context, g *group) section {
	headers, setting := g.tokens()
	out := section{title: "Now and before"}
	for _, kind := range kinds {
		var reads, writes, changes []side
		for _, of := range []struct{ name, binary string }{{"now", g.programs.users}, {"before", g.programs.before}} {
			s := g.start(ctx, of.binary, setting, "DATABASE_URL="+g.filled(ctx, kind, "users", g.size.rows))
			reads = append(reads, g.ask(of.name, s, http.StatusOK, getRandom(usersPath, g.size.rows, headers...)))
			writes = append(writes, g.ask(of.name, s, http.StatusCreated, postUsers(headers...)))
			changes = append(changes, g.ask(of.name, s, http.StatusOK, patchUsers(g.size.rows, headers...)))
		}
		for _, row := range []struct {
			what  string
			sides []side
		}{{"GET one user", reads}, {"POST a user", writes}, {"PATCH a user", changes}} {
			samples := g.alternate(ctx, g.size.rounds, row.sides)
			out.figures = append(out.figures, over(on(row.what, kind)+", now ÷ before", samples[0], samples[1], nil))
			out.body += "\n" + on(row.what, kind) + ":\n\n" + table(row.sides, samples)
		}
	}
	return out
}
