package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/invalid"
)

// ServiceName is this service's name in an Erasure.
const ServiceName = "user-service"

// UserEvent is the data of an event about a user.
type UserEvent struct {
	Version int64    `json:"version" doc:"The version of the user after the change, from 1." example:"2"`
	Changed []string `json:"changed,omitzero" nullable:"false" doc:"The fields that changed; in updates only." example:"[\"name\"]"`
}

// registerEvents adds the event feed, and the operations for its consumers.
func (h *api) registerEvents(a *httpapi.API, tag string) {
	events.RegisterFeed[UserEvent](a, path, "user", tag, h.store)
	httpapi.Register(a, huma.Operation{
		OperationID: "put-consumer", Method: http.MethodPut, Path: path + "/events/consumers/{consumer}", Tags: []string{tag},
		Summary: "Acknowledge the events up to a cursor", DefaultStatus: http.StatusNoContent,
		Description: "For services that follow the events; requires the scope " + events.ScopeRead + ". States that the service has processed all events up to the cursor, and has erased its personal data of the users deleted until then. " +
			"A lower cursor than the last one withdraws the acknowledgement of the events after it; of concurrent acknowledgements, the last one counts. Responds 404 if EVENTS_CONSUMERS doesn't name the consumer, 403 if it names another subject for it, and 410 if the cursor's event no longer exists.",
		Errors: []int{http.StatusNotFound, http.StatusGone, http.StatusServiceUnavailable},
	}, httpapi.Needs(events.ScopeRead), h.acknowledge)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-erasure", Method: http.MethodGet, Path: path + "/{user_id}/erasure", Tags: []string{tag},
		Summary:     "Get the progress of the erasure of a deleted user",
		Description: "Requires the scope " + scopeLookup + " or admin. Responds 404 if the user exists or never existed.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeLookup), h.erasure)
}

// Progress is the position of a consumer in the feed.
type Progress struct {
	Cursor string `json:"cursor" pattern:"^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})$" doc:"The cursor of the last event that the service has processed." example:"734-19"`
}

type acknowledgeInput struct {
	Consumer events.Consumer `path:"consumer" doc:"The name of the consumer service."`
	Body     httpapi.Body[Progress]
}

func (h *api) acknowledge(ctx context.Context, in *acknowledgeInput) (none httpapi.Nothing, err error) {
	err = h.consumers.Authorize(auth.From(ctx), in.Consumer)
	if err != nil {
		return none, err
	}
	cursor, err := events.ParseCursor(in.Body.Value.Cursor)
	if err != nil || in.Body.Value.Cursor == "" {
		return none, invalid.Fields{{Path: "cursor", Message: "is not a cursor of this feed; use the cursor of the last event, unchanged"}}
	}
	err = h.store.Acknowledge(ctx, string(in.Consumer), cursor, time.Now())
	if errors.Is(err, events.ErrGone) {
		err = events.Gone()
	}
	return none, err
}

// Erasure is the state of a deleted user's erasure in all services.
type Erasure struct {
	UserID    uuid.UUID       `json:"user_id" format:"uuid" doc:"The id of the deleted user." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`
	DeletedAt httpapi.Instant `json:"deleted_at" doc:"When the user was deleted."`
	Complete  bool            `json:"complete" doc:"Whether all services have erased their personal data of the user."`
	Services  []ErasedBy      `json:"services" nullable:"false" doc:"user-service, and each service that must process the events of users (EVENTS_CONSUMERS)."`
}

// ErasedBy is the state of the erasure in one service.
type ErasedBy struct {
	Service  string           `json:"service" doc:"The name of the service." example:"order-service"`
	ErasedAt *httpapi.Instant `json:"erased_at" nullable:"true" doc:"When the service had erased its personal data of the user; null until then."`
}

func (h *api) erasure(ctx context.Context, in *UserPath) (got httpapi.Unversioned[Erasure], err error) {
	found, deleted, err := h.store.Erasure(ctx, uuid.UUID(in.UserID))
	if err != nil {
		return got, err
	}
	if !deleted {
		return got, httpapi.NotFound("erasure: the user exists, or never existed")
	}
	services, complete := []ErasedBy{{Service: ServiceName, ErasedAt: (*httpapi.Instant)(&found.DeletedAt)}}, true
	for name := range h.consumers { // also one that has not acknowledged anything, and none that was removed
		if name == ServiceName {
			continue
		}
		at := found.Consumers[string(name)]
		services = append(services, ErasedBy{Service: string(name), ErasedAt: (*httpapi.Instant)(at)})
		complete = complete && at != nil
	}
	slices.SortFunc(services, func(a, b ErasedBy) int { return cmp.Compare(a.Service, b.Service) })
	got.Body = Erasure{UserID: uuid.UUID(in.UserID), DeletedAt: httpapi.Instant(found.DeletedAt), Complete: complete, Services: services}
	return got, nil
}
