package api

import (
	"errors"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// problem converts domain errors to HTTP problems; it returns other errors unchanged.
func problem(err error) error {
	if errors.Is(err, widget.ErrNotFound) {
		return httpapi.NotFound("widget")
	}
	return err
}
