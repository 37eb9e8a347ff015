package api

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/page"
)

// OrderEvent is the data of an event about an order.
type OrderEvent struct {
	Version int64     `json:"version" doc:"The version of the order after the change, from 1." example:"2"`
	UserID  uuid.UUID `json:"user_id" format:"uuid" doc:"The id of the user who owns the order." example:"019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"`
	Happened
}

// Happened describes a change.
type Happened struct {
	From    string   `json:"from,omitzero" doc:"The status before a change of status or a deletion; omitted otherwise." example:"pending"`
	To      string   `json:"to,omitzero" doc:"The status after a creation or a change of status; omitted otherwise." example:"confirmed"`
	By      string   `json:"by,omitzero" doc:"Who made the change: customer (the owner), fulfilment, admin, erasure (the user was deleted), or anyone (the service requires no token). Omitted if unknown." example:"fulfilment"`
	Changed []string `json:"changed,omitzero" nullable:"false" doc:"The fields that changed; in updates only." example:"[\"status\"]"`
}

// HistoryItem is one event in an order's history.
type HistoryItem struct {
	Version int64           `json:"version" doc:"The version of the order after the change, from 1." example:"2"`
	Type    string          `json:"type" enum:"created,updated,deleted" doc:"The type of the change."`
	Time    httpapi.Instant `json:"time" doc:"When the change was made."`
	Happened
}

func (h *api) registerEvents(a *httpapi.API, tag string) {
	events.RegisterFeed[OrderEvent](a, path, "order", tag, h.store)
	httpapi.Register(a, huma.Operation{
		OperationID: "get-order-history", Method: http.MethodGet, Path: path + "/{order_id}/events", Tags: []string{tag},
		Summary:     "List the events of an order, newest first",
		Description: "Requires read access to the order. Events are kept for EVENTS_TTL.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, httpapi.Needs(scopeRead, scopeFulfil).Memory(orderMemory), h.history)
}

type historyInput struct {
	OrderPath
	httpapi.PageParams
}

func (h *api) history(ctx context.Context, in *historyInput) (list httpapi.Listed[HistoryItem], err error) {
	id := uuid.UUID(in.OrderID)
	_, err = h.orders.Get(ctx, actor(ctx), id)
	if err != nil {
		return list, problem(err)
	}
	request, err := in.Request(page.First)
	if err != nil {
		return list, err
	}
	p, err := page.Rows[events.Event]{
		Below: func(r page.Request) ([]events.Event, error) {
			return h.store.EventsOf(ctx, id, versionOf(r.Before), r.Limit)
		},
		ID: func(e events.Event) uuid.UUID { return idOf(e.Version) },
	}.Collect(request)
	if err != nil {
		return list, err
	}
	items := page.Page[HistoryItem]{Next: p.Next}
	for _, e := range p.Items {
		item, err := toHistory(e)
		if err != nil {
			return list, err
		}
		items.Items = append(items.Items, item)
	}
	return httpapi.NewList(items, func(i HistoryItem) HistoryItem { return i }, path+"/"+id.String()+"/events", url.Values{}, in.Limit), nil
}

func toHistory(e events.Event) (HistoryItem, error) {
	var h Happened
	err := json.Unmarshal(e.Data, &h)
	if err != nil {
		return HistoryItem{}, fmt.Errorf("read the data of event %s: %w", e.Cursor, err)
	}
	return HistoryItem{Version: e.Version, Type: e.Type, Time: httpapi.Instant(e.Time), Happened: h}, nil
}

// idOf encodes a version as an id that sorts the same way, so that a history is paginated
// like every list.
func idOf(version int64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], uint64(version)) //nolint:gosec // it isn't negative
	return id
}

// versionOf reverses idOf. Ids above its range, such as a first page's, give math.MaxInt64.
func versionOf(id uuid.UUID) int64 {
	return int64(min(binary.BigEndian.Uint64(id[:]), math.MaxInt64))
}
