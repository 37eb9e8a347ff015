package api

import (
	"context"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/user-service/internal/user"
)

var ada = user.User{ID: uuid.New(), Name: "Ada Lovelace", Email: user.EmailFromStore("ada@example.com", "ada@example.com"), Age: new(36), Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()}

// BenchmarkJSON encodes a response.
func BenchmarkJSON(b *testing.B) {
	p := page.Page[user.User]{Items: make([]user.User, page.DefaultLimit)}
	for i := range p.Items {
		p.Items[i] = ada
	}
	for name, write := range map[string]func() ([]byte, error){
		"user": func() ([]byte, error) { return json.Marshal(toWire(ada)) },
		"list of 20": func() ([]byte, error) {
			return json.Marshal(httpapi.NewList(p, toWire, path, nil, page.DefaultLimit).Body)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := write()
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNewUser decodes and validates a body.
func BenchmarkNewUser(b *testing.B) {
	sent := []byte(`{"name":"Ada Lovelace","email":"ada@example.com","age":36}`)
	users := user.New(nil, func(context.Context) error { return nil })
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var body NewUser
			err := jsonbody.Decode(sent, &body)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepare", func(b *testing.B) {
		var body NewUser
		require.NoError(b, jsonbody.Decode(sent, &body))
		b.ReportAllocs()
		for b.Loop() {
			_, err := users.Prepare(b.Context(), access.All(), body.draft())
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
