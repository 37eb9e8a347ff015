// Package session runs the README's shell session against running services.
package session

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// says are texts that the session must print.
var says = []string{
	`"name":"Ada Lovelace","email":"ada@example.com","age":36`,
	`"total_amount":2999.97`,
	`"next_cursor":null`,
	`"status":"confirmed"`,
	`"detail":"an order that is confirmed can't become delivered; it can become shipped, cancelled"`,
	`{"location":"body.user_id","message":"is not the id of a user"}`,
}

// Run runs the session of the README in the folder root in a shell, with localhost:8000
// and localhost:8001 replaced by the addresses (HOST:PORT) of the services, and checks
// its output. The services must be empty. within, if any, is the command that runs the
// shell, such as nsenter.
func Run(t *testing.T, root, users, orders string, within ...string) {
	t.Helper()
	run(t, root, users, orders, "", within)
}

// RunWith is Run for services that require a token.
func RunWith(t *testing.T, root, users, orders, token string) {
	t.Helper()
	run(t, root, users, orders, `curl() { command curl -H "Authorization: Bearer `+token+`" "$@"; }`+"\n", nil)
}

func run(t *testing.T, root, users, orders, before string, within []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)<!-- session.*?-->\n```sh\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, found, "the README has no session")
	text := strings.NewReplacer("localhost:8000", users, "localhost:8001", orders).Replace(string(found[1]))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	words := append(within, "bash", "-euo", "pipefail")
	shell := exec.CommandContext(ctx, words[0], words[1:]...)
	shell.Stdin = strings.NewReader(before + text)
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, want := range says {
		require.Contains(t, string(out), want)
	}
}
