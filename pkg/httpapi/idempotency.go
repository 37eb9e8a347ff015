package httpapi

import (
	"errors"

	"github.com/danielgtaylor/huma/v2"
)

// IdempotencyKey is the header that makes a POST safe to retry.
type IdempotencyKey struct {
	Key Key `header:"Idempotency-Key" doc:"Makes the request safe to retry: requests with the same key and body take effect once, and get the same response. 1 to 255 printable ASCII characters; the key expires after IDEMPOTENCY_TTL (default: 24 hours)." example:"8e03978e-40d5-43e8-bc93-6894a57f9324"`
}

// Key is the value of an Idempotency-Key header.
type Key string

const maxIdempotencyKey = 255

var errKey = errors.New("must be 1 to 255 printable ASCII characters")

// UnmarshalText checks that the key is 1 to 255 printable ASCII characters.
func (k *Key) UnmarshalText(b []byte) error {
	if len(b) < 1 || len(b) > maxIdempotencyKey {
		return errKey
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return errKey
		}
	}
	*k = Key(b)
	return nil
}

// Schema describes a key.
func (Key) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(maxIdempotencyKey), Pattern: "^[ -~]+$"}
}
