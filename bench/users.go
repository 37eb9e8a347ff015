package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const usersPath = "/api/v1/users"

// appendUser appends a user with a random address, as it is posted.
func appendUser(b []byte) []byte {
	b = append(b, `{"name":"Ada Lovelace","email":"ada`...)
	b = strconv.AppendUint(b, rand.Uint64N(maxRandom), 10)
	return append(b, `@example.com","age":36}`...)
}

// maxRandom makes a clash of addresses unlikely, also for pgbench, whose
// numbers have 64 bits with a sign.
const maxRandom = 9_000_000_000_000_000_000

// createUser makes a user, and returns its path. The token, if any, is the value of
// Authorization.
func createUser(ctx context.Context, address string, token ...string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+usersPath, bytes.NewReader(appendUser(nil)))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Authorization"] = token
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("create a user: %s %s", response.Status, body)
	}
	return response.Header.Get("Location"), nil
}

// createUsers makes n users, and returns their ids.
func createUsers(ctx context.Context, address string, n int) ([]string, error) {
	users := make([]string, n)
	for i := range users {
		path, err := createUser(ctx, address)
		if err != nil {
			return nil, err
		}
		users[i] = path[len(usersPath)+1:]
	}
	return users, nil
}

// clientCPU is what this program costs itself.
var clientCPU = meter{"client", func() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}}
