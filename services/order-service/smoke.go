package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/config"
)

// targets holds the addresses of the services that smoke tests, and the token for them.
type targets struct {
	Users  string `envconfig:"USER_URL" default:"http://localhost:8000" desc:"URL of user-service"`
	Orders string `envconfig:"ORDER_URL" default:"http://localhost:8001" desc:"URL of order-service"`
	Token  string `envconfig:"SMOKE_TOKEN_FILE" desc:"file with a token that has the scope admin, if the services require tokens"`
}

const smokeTimeout = 30 * time.Second

// smoke tests a deployment: it creates a user and an order, reads the order, and deletes
// both. It needs only the two addresses, so that it can run from the service's image.
func smoke(ctx context.Context, out io.Writer) (err error) {
	var t targets
	err = config.Load(&t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, smokeTimeout)
	defer cancel()
	// Following a redirect could send the token to another host.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if t.Token != "" {
		client.Transport = auth.TokenFile(t.Token)(http.DefaultTransport)
	}
	call := func(ctx context.Context, method, url string, body, into any) error {
		return call(ctx, client, method, url, body, into)
	}
	users, orders := strings.TrimSuffix(t.Users, "/")+"/api/v1/users", strings.TrimSuffix(t.Orders, "/")+"/api/v1/orders"

	var user, made, read struct {
		ID    string      `json:"id"`
		Total json.Number `json:"total_amount"`
	}
	err = call(ctx, http.MethodPost, users, map[string]any{"name": "Smoke Test", "email": "smoke-" + uuid.NewString() + "@example.com"}, &user)
	if err != nil {
		return fmt.Errorf("create a user: %w", err)
	}
	defer func() { err = errors.Join(err, call(ctx, http.MethodDelete, users+"/"+user.ID, nil, nil)) }()
	err = call(ctx, http.MethodPost, orders, map[string]any{
		"user_id": user.ID, "shipping_address": "nowhere",
		"items": []any{map[string]any{"product_id": "smoke", "product_name": "Smoke", "quantity": 3, "price": 999.99}},
	}, &made)
	if err != nil {
		return fmt.Errorf("create an order: %w", err)
	}
	defer func() { err = errors.Join(err, call(ctx, http.MethodDelete, orders+"/"+made.ID, nil, nil)) }()
	err = call(ctx, http.MethodGet, orders+"/"+made.ID, nil, &read)
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if read != made || read.Total != "2999.97" {
		return fmt.Errorf("read the order: got %v, but created %v", read, made)
	}
	_, err = fmt.Fprintln(out, "a user and an order were created, read and deleted: it works")
	return err
}

// call sends body as JSON and decodes the JSON response into into, unless that is nil. A
// status of 300 or more is an error.
func call(ctx context.Context, client *http.Client, method, url string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s answers %s: %s", method, url, response.Status, read)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(read, into)
}
