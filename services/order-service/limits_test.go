package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/ratelimit"
)

// TestEachOperationIsLimited: one caller may ask for so much and no more, whatever
// for, but for the probes.
func TestEachOperationIsLimited(t *testing.T) {
	once := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}
	start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.WriteLimit = once, once }).TestLimits(t)
}

// TestWhatIsReadForARefusalCounts: the order was read, though the answer is small.
func TestWhatIsReadForARefusalCounts(t *testing.T) {
	address := databases["sqlite"](t)
	s := start(t, address)
	item := fmt.Sprintf(`{"product_id":"p","product_name":"%s","quantity":1,"price":1}`, strings.Repeat("x", 200))
	made := s.Do(http.MethodPost, orders, s.raw(strings.Repeat(item+",", 99)+item)).Want(http.StatusCreated)
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
		"409": func(s *server) { s.Do(http.MethodPatch, path, `{"status":"delivered"}`).Want(http.StatusConflict) },
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
