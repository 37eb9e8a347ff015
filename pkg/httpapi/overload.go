package httpapi

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/overload"
)

// shed refuses a request to an operation when too many are under way, before
// anything else is done about it: what it costs to refuse is missing for what is
// let in. What is no operation has no place, but isn't answered either while too
// much waits for a processor. Probes and metrics always are.
func (a *API) shed(g *gin.Context) {
	route := g.FullPath()
	if a.config.Overload == nil || strings.HasPrefix(route, "/health") || route == metricsPath {
		return
	}
	if !a.operations[route] {
		if a.config.Overload.Busy() {
			a.turnAway(g)
		}
		return
	}
	slot, ok := a.config.Overload.Enter(!writes(g.Request.Method))
	if !ok {
		a.turnAway(g)
		return
	}
	defer slot.Drop() // if it has not left by then
	g.Request = g.Request.WithContext(overload.With(g.Request.Context(), slot))
	g.Next()
}

// turnAway answers a request that is too much.
func (a *API) turnAway(g *gin.Context) {
	a.sayOverloaded(g)
	g.Set(shedKey, true)
	a.write(g, overloaded())
	g.Abort()
}

// shedKey marks a request that was shed, for its line in the log.
const shedKey = "shed"

func writes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

func overloaded() *Problem {
	return Unavailable("more is asked of the service than it can answer right now", time.Second)
}

// awaitBody gives the place of a request up while its body arrives: how long that
// takes is the client's doing. The handler takes it again. There are many places
// for bodies, since one that is slow takes little but memory; each is kept until the
// answer, so that there are as many as requests may be under way.
func (a *API) awaitBody(ctx huma.Context, next func(huma.Context)) {
	done, ok := a.config.Overload.Await()
	if !ok {
		a.turnAway(humagin.Unwrap(ctx))
		return
	}
	defer done()
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
