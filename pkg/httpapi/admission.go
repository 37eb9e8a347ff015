package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/overload"
)

// minBody is the memory that a request which changes something takes at least, in
// bytes: that of its connection, and of a body of a usual size.
const minBody = 64 << 10

// bodyMemory is how many times its size the memory of a body is: as it is read, parsed,
// checked, answered and stored.
const bodyMemory = 5

// memory returns how much memory a request takes before its body is there, in bytes:
// that of its answer while it is made. 0 is too little to count.
func (op *operation) memory() int64 {
	switch {
	case op.reads:
		return op.rule.memory
	case op.maxBody == 0:
		return minBody + op.rule.memory
	}
	return minBody
}

// admit lets a request through to the work of its operation, and sends the answer.
// What costs little comes before what costs more, and nothing is done for a request
// that is refused after all: size → who sends it, and how much of that there may be →
// signature → rule → form → memory → body → turn → work → answer. The memory is held until
// the last byte of the answer has been written. docs/overload.md has a picture.
func (a *API) admit(op *operation, x *exchange) {
	g, ctx := x.g, &x.ctx
	g.Writer.Header()["Cache-Control"] = noStore
	op.rule.sayDeprecated(g.Writer.Header())
	if op.maxBody > 0 && g.Request.ContentLength > op.maxBody {
		a.write(g, tooLarge(op.maxBody))
		return
	}
	caller, name, light, p := a.authenticate(op, g)
	if p == nil {
		p = a.authorize(op, caller)
	}
	if p == nil {
		x.query, p = op.readQuery(g.Request.URL.RawQuery)
	}
	if p == nil && op.maxBody > 0 {
		p = requireJSON(g.Request)
	}
	if p != nil {
		a.refuse(x, p)
		return
	}
	ctx.caller, ctx.known = caller, true
	share := name
	if a.config.Auth.IsOpen() {
		share = "" // whoever is behind a proxy looks the same
	}
	held, err := a.config.Memory.Reserve(ctx, share, op.memory(), !op.reads)
	if err != nil {
		a.refuse(x, a.noMemory(ctx, x, err))
		return
	}
	defer held.Release()
	counts := !caller.Granted(op.rule.unlimited)
	charge := func() {
		if counts {
			a.config.Limits.Charge(name, x.cost(op.reads))
		}
	}
	if counts {
		p = a.withinVolume(name) // again: it may have waited while its others were answered
	}
	var body []byte
	if p == nil && op.maxBody > 0 {
		body, p = a.readBody(op, x, &held)
	}
	if p != nil {
		a.refuse(x, p)
		charge()
		return
	}
	var turn overload.Slot
	if op.rule.waits == 0 {
		var ok bool
		turn, ok = a.config.Overload.Enter(ctx, op.reads, light)
		if !ok {
			a.shed(g)
			charge()
			return
		}
	}
	defer turn.Drop() // if it has not left by then
	x.buffer()
	a.work(op, x, body)
	if status := x.Status(); status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		turn.Done() // what was refused says nothing of how long the work takes
	}
	turn.Drop()
	if !op.reads && prefersMinimal(g.Request.Header[preferHeader]) {
		x.minimize()
	}
	charge()
	held.Shrink(int64(x.buffered.Len()))
	x.send()
}

// work does what an operation does, in the time there is for it, and holds its answer.
func (a *API) work(op *operation, x *exchange, body []byte) {
	x.ctx.limit(a.config.RequestTimeout + op.rule.waits)
	err := op.run(x, body)
	if err != nil {
		x.buffered.Reset()
		a.write(x.g, a.problem(&x.ctx, err))
	}
}

var noStore = []string{"no-store"}

// authenticate returns who sends a request, what the caller is called where it is
// counted, whether it has asked for little lately, and the refusal if it may not go
// on. A token that was seen before says who it is at little cost, so that the caller's
// limit comes first. Any other costs the verification of a signature, of which each
// address may have so many fail.
func (a *API) authenticate(op *operation, g *gin.Context) (caller auth.Caller, name string, light bool, p *Problem) {
	sent := g.Request.Header["Authorization"]
	caller, known := a.config.Auth.Recall(sent)
	if !known {
		caller, p = a.verify(op, g, sent)
	}
	name = caller.Key()
	if name == "" {
		name = a.clientOf(g)
	}
	if p == nil && !caller.Granted(op.rule.unlimited) {
		light, p = a.limit(g, op.policy, name)
		if p == nil {
			p = a.withinVolume(name)
		}
	}
	// Whoever is behind a proxy looks the same without a token.
	return caller, name, light && !a.config.Auth.IsOpen(), p
}

// verify returns whose token it is that wasn't seen before. One that proves nothing
// counts as a request of its address. How many of those are judged is limited while
// requests wait for a processor; until then, a new token of somebody who shares the
// address counts for more than the work.
func (a *API) verify(op *operation, g *gin.Context, sent []string) (auth.Caller, *Problem) {
	address := a.clientOf(g)
	if a.config.Overload.Busy() && !a.config.Limits.MayFail(address) {
		return auth.Caller{}, TooMany(time.Second)
	}
	caller, err := a.config.Auth.Authenticate(g.Request.Context(), sent)
	if err == nil {
		return caller, nil
	}
	var wrong *auth.InvalidError
	if errors.As(err, &wrong) && !wrong.Missing {
		a.config.Limits.Failed(address)
	}
	_, p := a.limit(g, op.policy, address)
	if p == nil {
		p = a.authProblem(g.Request.Context(), err)
	}
	return caller, p
}

// withinVolume returns the refusal of a caller who was sent too much lately.
func (a *API) withinVolume(caller string) *Problem {
	wait := a.config.Limits.Wait(caller)
	if wait == 0 {
		return nil
	}
	return TooMany(wait)
}

// authorize returns the refusal of a caller who has none of the scopes.
func (a *API) authorize(op *operation, caller auth.Caller) *Problem {
	if caller.Has(op.rule.scopes...) {
		return nil
	}
	a.config.Auth.Denied()
	return Forbidden(op.rule.scopes...)
}

// noMemory is the refusal of a request for which there is no memory: 429 where its
// own caller holds it.
func (a *API) noMemory(ctx context.Context, x *exchange, err error) *Problem {
	switch {
	case errors.Is(err, overload.ErrShare):
		return TooMany(time.Second)
	case errors.Is(err, overload.ErrFull):
		x.shed = true
		a.sayOverloaded(ctx, x)
		return overloaded()
	}
	return a.classify(ctx, err)
}

// shed answers a request that is too much.
func (a *API) shed(g *gin.Context) {
	x := exchangeOf(g)
	if g.Request.Context().Err() == nil {
		x.shed = true
		a.sayOverloaded(g.Request.Context(), x)
	}
	a.write(g, overloaded())
	g.Abort()
}

func overloaded() *Problem {
	return Unavailable("more is asked of the service than it can answer right now", time.Second)
}

// complaint is when the log said last that there is too much to do.
type complaint struct{ at atomic.Int64 }

// sayOverloaded writes one line a second at most: one for each request would be
// more load.
func (a *API) sayOverloaded(ctx context.Context, x *exchange) {
	now := time.Now().Unix()
	last := a.complaint.at.Load()
	if last < now && a.complaint.at.CompareAndSwap(last, now) {
		a.log.WarnContext(ctx, "overloaded: requests are refused with 503 (CONCURRENCY_LIMIT, REQUEST_MEMORY_MIB)", slog.String("route", x.route))
	}
}

const (
	// refusalPause is how long the refusal of one request too many, or of a wrong token,
	// is held back: whoever asks again as soon as it is answered would keep a processor busy
	// with refusals.
	refusalPause = 100 * time.Millisecond
	// maxPaused is how many are held back at once: each holds its connection's memory.
	maxPaused = 256
)

// refuse answers a request that goes no further.
func (a *API) refuse(x *exchange, p *Problem) {
	wrongToken := p.Status == http.StatusUnauthorized && x.g.Request.Header["Authorization"] != nil
	if p.Status == http.StatusTooManyRequests || wrongToken {
		select {
		case a.paused <- struct{}{}:
			x.wait(refusalPause)
			<-a.paused
		default:
		}
	}
	a.write(x.g, p)
}

// metricsCost is the size that a scrape on the public port counts as, in bytes:
// gathering takes a hundred times as long as answering a small request.
const metricsCost = 400 << 10

// limitOthers limits, by address, what is no operation: the documentation, the
// metrics, and paths that lead nowhere. Probes always are answered.
func (a *API) limitOthers(g *gin.Context) {
	x := exchangeOf(g)
	if a.operations[x.route] || isProbe(x.route) {
		return
	}
	if x.route != metricsPath && a.config.Overload.Busy() {
		a.shed(g)
		return
	}
	name, policy := a.clientOf(g), a.policy(http.MethodGet)
	_, p := a.limit(g, policy, name)
	if p == nil {
		p = a.withinVolume(name)
	}
	if p != nil {
		a.refuse(x, p)
		g.Abort()
		return
	}
	if x.route == metricsPath {
		a.config.Limits.Charge(name, metricsCost)
	}
	x.charge = func(size int) { a.config.Limits.Charge(name, int64(size)) }
}
