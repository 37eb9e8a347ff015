package httpapi

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/overload"
)

// shed refuses a request to an operation when too many are under way, before
// anything else is done about it: what it costs to refuse is missing for what is
// let in. Probes, metrics and the documentation always answer.
func (a *API) shed(g *gin.Context) {
	if a.config.Overload == nil || !a.operations[g.FullPath()] {
		return
	}
	slot, ok := a.config.Overload.Enter(!writes(g.Request.Method))
	if !ok {
		a.sayOverloaded(g)
		g.Set(shedKey, true)
		a.write(g, overloaded())
		g.Abort()
		return
	}
	defer slot.Drop() // if it has not left by then
	g.Request = g.Request.WithContext(overload.With(g.Request.Context(), slot))
	g.Next()
}

// shedKey marks a request that was shed, for its line in the log.
const shedKey = "shed"

func writes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

func overloaded() *Problem {
	return Unavailable("more is asked of the service than it can answer right now", time.Second)
}

// awaitBody gives the place of a request up while its body arrives: how long that
// takes is the client's doing. The handler takes it again.
func awaitBody(ctx huma.Context, next func(huma.Context)) {
	overload.From(ctx.Context()).Drop()
	next(ctx)
}

// complaint is when the log said last that there is too much to do.
type complaint struct{ at atomic.Int64 }

// sayOverloaded writes one line a second at most: one for each request would be
// more load.
func (a *API) sayOverloaded(g *gin.Context) {
	now := time.Now().Unix()
	last := a.complaint.at.Load()
	if last < now && a.complaint.at.CompareAndSwap(last, now) {
		a.log.WarnContext(g.Request.Context(), "overloaded: requests are refused with 503 (CONCURRENCY_LIMIT)", slog.String("route", g.FullPath()))
	}
}
