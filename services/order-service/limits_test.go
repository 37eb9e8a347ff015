package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/ratelimit"
)

// TestEachOperationIsLimited: every operation except the probes counts towards a caller's
// rate limit.
func TestEachOperationIsLimited(t *testing.T) {
	once := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}
	start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.WriteLimit = once, once }).TestLimits(t)
}

// TestReadsOfRejectedRequestsAreCharged: a rejected request is charged for the order that it read.
func TestReadsOfRejectedRequestsAreCharged(t *testing.T) {
	address := databases["sqlite"](t)
	s := start(t, address)
	item := fmt.Sprintf(`{"product_id":"p","product_name":"%s","quantity":1,"price":1}`, strings.Repeat("x", 200))
	large := strings.Repeat(item+",", 99) + item
	made := s.Do(http.MethodPost, orders, s.raw(large), "Idempotency-Key", "large").Want(http.StatusCreated)
	small := s.raw(item)
	grown := s.Do(http.MethodPost, orders, small, "Idempotency-Key", "grown").Want(http.StatusCreated)
	s.Do(http.MethodPatch, orders+"/"+grown.ID(), `{"items":[`+large+`]}`).Want(http.StatusOK)
	path, etag := made.Header.Get("Location"), made.Header.Get("ETag")
	for name, refused := range map[string]func(*server){
		"304": func(s *server) { s.Do(http.MethodGet, path, nil, "If-None-Match", etag).Want(http.StatusNotModified) },
		"412 of a GET": func(s *server) {
			s.Do(http.MethodGet, path, nil, "If-Match", `"9"`).Want(http.StatusPreconditionFailed)
		},
		"412 of DELETE": func(s *server) {
			s.Do(http.MethodDelete, path, nil, "If-Match", `"9"`).Want(http.StatusPreconditionFailed)
		},
		"412 of PATCH": func(s *server) {
			s.Do(http.MethodPatch, path, `{"status":"cancelled"}`, "If-Match", `"9"`).Want(http.StatusPreconditionFailed)
		},
		"422 of another request with the key": func(s *server) {
			s.Do(http.MethodPost, orders, small, "Idempotency-Key", "large").Want(http.StatusUnprocessableEntity)
		},
		"replay": func(s *server) {
			require.Equal(t, "true", s.Do(http.MethodPost, orders, small, "Idempotency-Key", "grown").Want(http.StatusCreated).Header.Get("Idempotent-Replayed"))
		},
		"list of nothing else": func(s *server) { s.Do(http.MethodGet, orders+"?limit=1", nil).Want(http.StatusOK) },
		"409":                  func(s *server) { s.Do(http.MethodPatch, path, `{"status":"delivered"}`).Want(http.StatusConflict) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, address, func(c *configuration) {
				c.VolumeLimit = ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 9}
			})
			s.Do(http.MethodGet, orders+"/"+unknown, nil).Want(http.StatusNotFound)
			refused(s)
			require.NotEmpty(t, s.Do(http.MethodGet, path, nil).Want(http.StatusTooManyRequests).Header.Get("Retry-After"))
		})
	}
}

// TestReadingAnotherUsersOrderIsCharged: reading another user's order is charged, although the
// response is 404.
func TestReadingAnotherUsersOrderIsCharged(t *testing.T) {
	address, is := databases["sqlite"](t), apitest.NewIssuers(t, name, "users:lookup events:read")
	s := start(t, address)
	item := fmt.Sprintf(`{"product_id":"p","product_name":"%s","quantity":1,"price":1}`, strings.Repeat("x", 200))
	path := s.Do(http.MethodPost, orders, s.raw(strings.Repeat(item+",", 99)+item)).Want(http.StatusCreated).Header.Get("Location")
	s = start(t, address, func(c *configuration) {
		c.AuthIssuers, c.VolumeLimit = is.Setting, ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 9}
	})
	token := is.Token(t, uuid.NewString(), "orders:read")
	s.Do(http.MethodGet, path, nil, "Authorization", token).Want(http.StatusNotFound)
	s.Do(http.MethodGet, path, nil, "Authorization", token).Want(http.StatusTooManyRequests)
}
