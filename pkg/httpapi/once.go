package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/ids"
)

const maxIdempotencyKey = 255

// IdempotencyKey is the header that makes a POST safe to send again.
type IdempotencyKey struct {
	Key string `header:"Idempotency-Key" doc:"Makes it safe to send the request again: the same key and body get the same answer, and happen once. 1 to 255 printable ASCII characters, kept for 24 hours." example:"8e03978e-40d5-43e8-bc93-6894a57f9324"`
}

// Resolve checks the key. It is called by huma.
func (k *IdempotencyKey) Resolve(ctx huma.Context) []error {
	n := countHeader(ctx, "Idempotency-Key")
	if n == 0 {
		return nil
	}
	valid := n == 1 && len(k.Key) >= 1 && len(k.Key) <= maxIdempotencyKey
	for i := range len(k.Key) {
		valid = valid && k.Key[i] >= ' ' && k.Key[i] <= '~'
	}
	if !valid {
		return []error{&Detail{Location: "header.Idempotency-Key", Message: "must be given once: 1 to 255 printable ASCII characters"}}
	}
	return nil
}

// Created is the answer to a POST: a 201, now or as it was the first time.
type Created[T any] struct {
	Status   int
	Location string `header:"Location" doc:"Where the new resource is."`
	ETag     string `header:"ETag" doc:"The resource's version, for If-Match and If-None-Match."`
	Replayed string `header:"Idempotent-Replayed" doc:"true when this is the answer that an earlier request with the same Idempotency-Key got."`
	Body     Rendered[T]
}

// NewAnswer returns the answer to a POST to path that made a resource.
func NewAnswer[T any](path string, id uuid.UUID, version int64, resource T) (idempotency.Answer, error) {
	body, err := Render(resource)
	return idempotency.Answer{Status: http.StatusCreated, Location: path + "/" + id.String(), ETag: ETag(version), Body: body}, err
}

// Once answers a POST through once (see idempotency.Once.Do). Each caller has
// keys of its own. What was made before is shown again only if read, which is to
// read it as the caller may now, returns no error.
func Once[T any](ctx context.Context, once *idempotency.Once, key IdempotencyKey, raw []byte, read func(id uuid.UUID) error, do func(seal func(idempotency.Answer) *idempotency.Record) (idempotency.Answer, error)) (*Created[T], error) {
	check := func(a idempotency.Answer) error {
		id, err := ids.Parse(a.Location[strings.LastIndexByte(a.Location, '/')+1:])
		if err != nil {
			return fmt.Errorf("read the Location of a kept answer: %w", err)
		}
		return read(id)
	}
	answer, replayed, err := once.Do(ctx, idempotency.Key{Caller: auth.From(ctx).Key(), Value: key.Key}, raw, check, do)
	switch {
	case errors.Is(err, idempotency.ErrGone):
		return nil, NewProblem(http.StatusGone, "what was made with this Idempotency-Key has been deleted; use a new key to make another")
	case errors.Is(err, idempotency.ErrInFlight):
		return nil, NewProblem(http.StatusConflict, err.Error()).with("Retry-After", "1")
	case errors.Is(err, idempotency.ErrMismatch):
		return nil, NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "header.Idempotency-Key", Message: "was used with another body; use a new key for a new request"})
	case err != nil:
		return nil, err
	}
	out := &Created[T]{Status: answer.Status, Location: answer.Location, ETag: answer.ETag, Body: answer.Body}
	if replayed {
		out.Replayed = "true"
	}
	return out, nil
}
