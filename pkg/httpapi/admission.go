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

// minBody is the minimum memory reserved for a request that writes, in bytes: for its
// connection and a body of usual size.
const minBody = 64 << 10

// bodyMemory is the memory that a body takes, as a multiple of its size: it is read,
// parsed, validated, rendered and stored.
const bodyMemory = 5

// memory returns how much memory to reserve before the body is read, in bytes. 0 means
// too little to count.
func (op *operation) memory() int64 {
	switch {
	case op.reads:
		return op.rule.memory
	case op.maxBody == 0:
		return minBody + op.rule.memory
	}
	return minBody
}

// admit checks a request, runs its operation and sends the answer. Cheap checks come
// before expensive ones, so that a rejected request costs little: size → caller →
// rate limit → signature → rule → query → content type → memory → body →
// concurrency slot → operation → answer. The memory stays reserved until the last
// byte of the answer is written. docs/overload.md has a diagram.
func (a *API) admit(op *operation, x *exchange) {
	g, ctx := x.g, &x.ctx
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
	if p == nil && (!op.reads || op.rule.waits > 0) {
		p = op.refuseConditions(g.Request.Header)
	}
	if p != nil {
		a.refuse(x, p)
		return
	}
	ctx.caller, ctx.known = caller, true
	share := name
	if a.config.Auth.IsOpen() {
		share = "" // without tokens, all clients behind a proxy look the same
	}
	held, err := a.config.Memory.Reserve(ctx, share, op.memory(), !op.reads)
	if err != nil {
		a.refuse(x, a.noMemory(ctx, x, err))
		return
	}
	defer held.Release()
	charge := func() { a.config.Limits.Charge(name, x.cost(op.reads)) }
	p = a.withinVolume(name) // check again: the request may have waited for memory while others of this caller were answered
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
	defer turn.Drop() // no effect after the Drop below
	x.buffer()
	a.work(op, x, body)
	if status := x.Status(); status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		turn.Done() // a rejection says nothing about how long the work takes
	}
	turn.Drop()
	if !op.reads && prefersMinimal(g.Request.Header[preferHeader]) {
		x.minimize()
	}
	charge()
	held.Shrink(int64(x.buffered.Len()))
	x.send()
}

// work runs an operation within its deadline, and buffers the answer.
func (a *API) work(op *operation, x *exchange, body []byte) {
	x.ctx.limit(a.config.RequestTimeout + op.rule.waits)
	err := op.run(x, body)
	if err != nil {
		x.buffered.Reset()
		a.write(x.g, a.problem(&x.ctx, err))
	}
}

// authenticate returns the caller, the name under which it is counted, whether it has
// sent few requests lately, and the problem if the request is rejected. A token that was
// verified before is recognised at little cost, so the caller's rate limit comes first.
// Any other token costs a signature check, which comes before the limit; see verify.
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
	}
	if p == nil {
		p = a.withinVolume(name)
	}
	// Without tokens, all clients behind a proxy look the same.
	return caller, name, light && !a.config.Auth.IsOpen(), p
}

// verify returns the caller of a token that wasn't seen before. An invalid token counts
// as a request of its address. While the CPU queue is long, the number of invalid tokens
// per address is limited. Otherwise it isn't: rejecting a valid new token because of its
// address would be worse than the extra work.
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

// withinVolume returns a 429 if the caller has recently been sent too many bytes.
func (a *API) withinVolume(caller string) *Problem {
	wait := a.config.Limits.Wait(caller)
	if wait == 0 {
		return nil
	}
	p := TooMany(wait)
	p.Detail = "you have sent and received too many bytes; wait for the seconds in Retry-After"
	return p
}

// authorize returns a 403 if the caller has none of the rule's scopes.
func (a *API) authorize(op *operation, caller auth.Caller) *Problem {
	if caller.Has(op.rule.scopes...) {
		return nil
	}
	a.config.Auth.Denied()
	return Forbidden(op.rule.scopes...)
}

// noMemory returns the problem of a request that gets no memory: 429 if its own caller
// uses the caller's share, otherwise 503.
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

// shed rejects a request because of overload.
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
	return Unavailable("the service is overloaded; try again later", time.Second)
}

// complaint is when overload was last logged, in Unix seconds.
type complaint struct{ at atomic.Int64 }

// sayOverloaded logs overload at most once a second: a line per request would add load.
func (a *API) sayOverloaded(ctx context.Context, x *exchange) {
	now := time.Now().Unix()
	last := a.complaint.at.Load()
	if last < now && a.complaint.at.CompareAndSwap(last, now) {
		a.log.WarnContext(ctx, "overloaded: requests are rejected with 503 (CONCURRENCY_LIMIT, REQUEST_MEMORY_MIB)", slog.String("route", x.route))
	}
}

const (
	// promptRefusals is how many rejections a second are sent at once: 429, and 401 for an
	// invalid token. Any more are delayed by refusalPause. Clients that retry at once would
	// otherwise keep a CPU busy with rejections.
	promptRefusals = 1000
	refusalPause   = 100 * time.Millisecond
	// maxPaused limits how many rejections are delayed at once: each keeps the memory of
	// its connection.
	maxPaused = 256
)

// refusals counts the rejections of a second, and holds a place for each delayed one.
type refusals struct {
	second, count atomic.Int64
	paused        chan struct{}
}

// flood counts a rejection, and reports whether there were too many in this second.
func (r *refusals) flood() bool {
	now := time.Now().Unix()
	if r.second.Swap(now) != now {
		r.count.Store(0)
	}
	return r.count.Add(1) > promptRefusals
}

// refuse rejects a request, after refusalPause if it is one of a flood.
func (a *API) refuse(x *exchange, p *Problem) {
	wrongToken := p.Status == http.StatusUnauthorized && x.g.Request.Header["Authorization"] != nil
	if (p.Status == http.StatusTooManyRequests || wrongToken) && a.refusals.flood() {
		select {
		case a.refusals.paused <- struct{}{}:
			x.wait(refusalPause)
			<-a.refusals.paused
		default:
		}
	}
	a.write(x.g, p)
}

// metricsCost is the size that a scrape on the public port counts as, in bytes: gathering
// takes a hundred times as long as a small request.
const metricsCost = 400 << 10

// limitOthers limits, by address, all requests that are no operation: documentation,
// metrics and unknown paths. While the CPU queue is long, it rejects all of these but
// metrics. Probes are exempt.
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
