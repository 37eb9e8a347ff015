package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/internal/testkit/issuer"
)

const (
	usersPath  = "/api/v1/users"
	ordersPath = "/api/v1/orders"
)

// firstID is the prefix of the ids of data.go, before the row's number in twelve hexadecimal
// digits.
const firstID = "01920000-0000-7000-8000-"

// rowID returns the id of a row, counted from 1.
func rowID(n int) string { return string(appendRowID(nil, n)) }

func appendRowID(b []byte, n int) []byte {
	b = append(b, firstID+"000000000000"...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = "0123456789abcdef"[n%16]
		n /= 16
	}
	return b
}

// getRandom gets a random row by its id. Each request has the next of the headers
// ("Name: value"), if any.
func getRandom(path string, rows int, headers ...string) next {
	n := 0
	return func(b []byte, _ int) []byte {
		b = append(append(append(b, "GET "...), path...), '/')
		b = append(appendRowID(b, 1+rand.IntN(rows)), " HTTP/1.1\r\nHost: localhost\r\n"...)
		if len(headers) > 0 {
			n++
			b = append(append(b, headers[n%len(headers)]...), "\r\n"...)
		}
		return append(b, "\r\n"...)
	}
}

// always sends the same request.
func always(request []byte) next {
	return func(b []byte, _ int) []byte { return append(b, request...) }
}

// appendUser appends the body of a user with a random address.
func appendUser(b []byte) []byte {
	b = append(b, `{"name":"Ada Lovelace","email":"ada`...)
	b = strconv.AppendUint(b, rand.Uint64N(maxRandom), 10)
	return append(b, `@example.com","age":36}`...)
}

// maxRandom makes equal addresses unlikely, also for pgbench, whose numbers have 64 bits with a
// sign.
const maxRandom = 9_000_000_000_000_000_000

// postUsers creates users, each request with the next of the headers.
func postUsers(headers ...string) next {
	var body []byte
	n := 0
	return func(b []byte, _ int) []byte {
		body = appendUser(body[:0])
		if len(headers) == 0 {
			return load.AppendPost(b, usersPath, body)
		}
		n++
		return load.AppendPost(b, usersPath, body, headers[n%len(headers)])
	}
}

// patchUsers changes the names of random users among rows.
func patchUsers(rows int, headers ...string) next {
	var path, body []byte
	n := 0
	return func(b []byte, _ int) []byte {
		n++
		path = appendRowID(append(append(path[:0], usersPath...), '/'), 1+rand.IntN(rows))
		body = fmt.Appendf(body[:0], `{"name":"Ada %d"}`, rand.Uint64N(maxRandom))
		return load.AppendJSON(b, http.MethodPatch, string(path), body, headers[n%len(headers)])
	}
}

// postUsersOnce creates users, each with its own Idempotency-Key.
func postUsersOnce() next {
	var body []byte
	return func(b []byte, _ int) []byte {
		body = appendUser(body[:0])
		return load.AppendPost(b, usersPath, body, "Idempotency-Key: "+strconv.FormatUint(rand.Uint64N(maxRandom), 10))
	}
}

// postOrders creates orders of two items for the users that user returns.
func postOrders(user func(connection int) string) next {
	var body []byte
	return func(b []byte, connection int) []byte {
		body = fmt.Appendf(body[:0], `{"user_id":%q,"shipping_address":"12 St James's Square, London","items":[`+
			`{"product_id":"laptop-15","product_name":"Laptop 15","quantity":1,"price":999.99},`+
			`{"product_id":"mouse-2","product_name":"Mouse","quantity":2,"price":19.90}]}`, user(connection))
		return load.AppendPost(b, ordersPath, body)
	}
}

// createUsers creates n users, and returns their ids.
func (g *group) createUsers(ctx context.Context, s *server.Server, n int) []string {
	users := make([]string, n)
	for i := range users {
		if g.err != nil {
			break
		}
		header, _, err := send(ctx, http.MethodPost, "http://"+s.Address+usersPath, appendUser(nil), http.StatusCreated)
		g.failed(err)
		users[i] = strings.TrimPrefix(header.Get("Location"), usersPath+"/")
	}
	return users
}

// fetch returns the headers and the body of a GET.
func (g *group) fetch(ctx context.Context, s *server.Server, path string) (http.Header, []byte) {
	if g.err != nil {
		return nil, nil
	}
	header, body, err := send(ctx, http.MethodGet, "http://"+s.Address+path, nil, http.StatusOK)
	g.failed(err)
	return header, body
}

func send(ctx context.Context, method, url string, body []byte, status int) (http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != status {
		err = fmt.Errorf("%s %s: %s %s", method, url, response.Status, answer)
	}
	return response.Header, answer, err
}

// subjects is the number of callers with tokens, each with its own subject.
const subjects = 64

// tokens returns Authorization headers of callers who may read every user, and the
// setting of a user-service that accepts them.
func (g *group) tokens() (headers []string, setting string) {
	dir := filepath.Join(g.dir, "issuer")
	i, err := issuer.Folder(dir)
	if g.failed(err) {
		return nil, ""
	}
	keys, err := issuer.KeysURL(dir)
	g.failed(err)
	for range subjects {
		token, err := i.Token([]string{"user-service"}, uuid.NewString(), "admin")
		g.failed(err)
		headers = append(headers, "Authorization: Bearer "+token)
	}
	return headers, "AUTH_ISSUERS=" + i.Setting("user-service", keys)
}
