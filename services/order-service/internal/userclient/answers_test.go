package userclient

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

// Responses of user-service, Verify's results, and whether the breaker counts them as
// failures. The breaker here opens at the first failure.
func TestAnswers(t *testing.T) {
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	const jsonType, problemType = "application/json", "application/problem+json"
	type answer struct {
		status    int
		mediaType string
		body      string
		header    map[string]string
	}
	ok := func(mediaType, body string) answer { return answer{status: 200, mediaType: mediaType, body: body} }
	user := userBody(id.String())
	for _, test := range []struct {
		name    string
		answer  answer
		outcome outcome
		failure bool
	}{
		{name: "the user", answer: ok(jsonType, user), outcome: found},
		{name: "the user, with a charset", answer: ok("Application/JSON; charset=utf-8", user), outcome: found},
		{name: "the user, with unknown members", answer: ok(jsonType, `{"x":[1],"id":"`+id.String()+`"}`), outcome: found},
		{name: "the user, in upper case", answer: ok(jsonType, userBody(strings.ToUpper(id.String()))), outcome: found},
		{name: "the user, just small enough", answer: ok(jsonType, user+strings.Repeat(" ", maxAnswer-len(user))), outcome: found},

		{name: "one byte too many", answer: ok(jsonType, user+strings.Repeat(" ", maxAnswer-len(user)+1)), outcome: invalid, failure: true},
		{name: "far too many bytes", answer: ok(jsonType, user+strings.Repeat(" ", 8<<20)), outcome: invalid, failure: true},
		{name: "another user", answer: ok(jsonType, userBody(uuid.NewString())), outcome: invalid, failure: true},
		{name: "id in braces", answer: ok(jsonType, userBody("{"+id.String()+"}")), outcome: invalid, failure: true},
		{name: "id that is a number", answer: ok(jsonType, `{"id":1}`), outcome: invalid, failure: true},
		{name: "id under another case", answer: ok(jsonType, `{"ID":"`+id.String()+`"}`), outcome: invalid, failure: true},
		{name: "two ids", answer: ok(jsonType, `{"id":"`+id.String()+`","id":"`+id.String()+`"}`), outcome: invalid, failure: true},
		{name: "two documents", answer: ok(jsonType, user+user), outcome: invalid, failure: true},
		{name: "list", answer: ok(jsonType, `[`+user+`]`), outcome: invalid, failure: true},
		{name: "null", answer: ok(jsonType, `null`), outcome: invalid, failure: true},
		{name: "nothing", answer: ok(jsonType, ``), outcome: invalid, failure: true},
		{name: "half of it", answer: ok(jsonType, user[:len(user)/2]), outcome: invalid, failure: true},
		{name: "garbage", answer: ok(jsonType, "\x00\xff\x1f"), outcome: invalid, failure: true},
		{name: "web page", answer: ok("text/html", "<h1>It works!</h1>"), outcome: invalid, failure: true},
		{name: "the user as text", answer: ok("text/plain", user), outcome: invalid, failure: true},
		{name: "the user as a problem", answer: ok(problemType, user), outcome: invalid, failure: true},
		{name: "malformed content type", answer: ok("json;;;=", user), outcome: invalid, failure: true},
		{name: "compressed, although not requested", answer: answer{200, jsonType, "\x1f\x8b", map[string]string{"Content-Encoding": "gzip"}}, outcome: invalid, failure: true},
		{name: "201", answer: answer{status: 201, mediaType: jsonType, body: user}, outcome: invalid, failure: true},
		{name: "204", answer: answer{status: 204}, outcome: invalid, failure: true},
		{name: "206", answer: answer{status: 206, mediaType: jsonType, body: user}, outcome: invalid, failure: true},

		{name: "no such user", answer: answer{status: 404, mediaType: problemType, body: `{"status":404,"title":"Not Found"}`}, outcome: unknown},
		{name: "no such user, with an empty object", answer: answer{status: 404, mediaType: problemType + "; charset=utf-8", body: `{}`}, outcome: unknown},
		{name: "a proxy's 404", answer: answer{status: 404, mediaType: "text/plain", body: "404 page not found\n"}, outcome: invalid, failure: true},
		{name: "404 in plain JSON", answer: answer{status: 404, mediaType: jsonType, body: `{"status":404}`}, outcome: invalid, failure: true},
		{name: "404 with an empty problem", answer: answer{status: 404, mediaType: problemType}, outcome: invalid, failure: true},
		{name: "404 with a null problem", answer: answer{status: 404, mediaType: problemType, body: `null`}, outcome: invalid, failure: true},
		{name: "404 that says 503", answer: answer{status: 404, mediaType: problemType, body: `{"status":503}`}, outcome: invalid, failure: true},
		{name: "404 that never ends", answer: answer{status: 404, mediaType: problemType, body: `{` + strings.Repeat(" ", 1<<20)}, outcome: invalid, failure: true},

		{name: "moved", answer: answer{status: 301, header: map[string]string{"Location": "/elsewhere"}}, outcome: redirect, failure: true},
		{name: "found elsewhere", answer: answer{status: 302, header: map[string]string{"Location": "/elsewhere"}}, outcome: redirect, failure: true},
		{name: "temporarily elsewhere", answer: answer{status: 307, header: map[string]string{"Location": "/elsewhere"}}, outcome: redirect, failure: true},
		{name: "redirect to nowhere", answer: answer{status: 308}, outcome: redirect, failure: true},
		{name: "not modified", answer: answer{status: 304}, outcome: redirect, failure: true},

		{name: "unauthorized", answer: answer{status: 401}, outcome: denied},
		{name: "forbidden", answer: answer{status: 403, mediaType: problemType, body: `{}`}, outcome: denied},
		{name: "bad request", answer: answer{status: 400}, outcome: rejected},
		{name: "gone", answer: answer{status: 410}, outcome: rejected},
		{name: "unprocessable", answer: answer{status: 422, mediaType: problemType, body: `{"status":422}`}, outcome: rejected},
		{name: "too many requests", answer: answer{status: 429}, outcome: tooManyRequests},
		{name: "internal error", answer: answer{status: 500, mediaType: problemType, body: `{"status":500}`}, outcome: serverError, failure: true},
		{name: "bad gateway", answer: answer{status: 502, mediaType: "text/html", body: "<h1>"}, outcome: serverError, failure: true},
		{name: "unavailable", answer: answer{status: 503}, outcome: serverError, failure: true},
		{name: "gateway timeout", answer: answer{status: 504}, outcome: serverError, failure: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var paths []string
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.Path)
				if r.URL.Path == "/elsewhere" {
					w.Header().Set("Content-Type", jsonType)
					_, _ = io.WriteString(w, user)
					return
				}
				for name, value := range test.answer.header {
					w.Header().Set(name, value)
				}
				// Keeps net/http from detecting a content type.
				w.Header()["Content-Type"] = nil
				if test.answer.mediaType != "" {
					w.Header().Set("Content-Type", test.answer.mediaType)
				}
				w.WriteHeader(test.answer.status)
				_, _ = io.WriteString(w, test.answer.body)
			})
			cfg := patient(server.URL)
			cfg.MaxTries, cfg.BreakerMinimum, cfg.BreakerOpen = 1, 1, time.Hour
			c := newClient(t, cfg)
			err := c.Verify(t.Context(), id)
			switch test.outcome {
			case found:
				require.NoError(t, err)
			case unknown:
				require.ErrorIs(t, err, order.ErrUserUnknown)
			default:
				requireUnavailable(t, err)
			}
			require.Equal(t, []string{"/api/v1/users/" + id.String()}, paths, "no redirect is followed")
			require.Equal(t, 1.0, testutil.ToFloat64(c.metrics.requests[test.outcome]), "counted as %v", test.outcome)
			want := resilience.Closed
			if test.failure {
				want = resilience.Open
			}
			require.Equal(t, want, c.breaker.State())
		})
	}
}

func TestAnUnknownUserIsNeverCached(t *testing.T) {
	u := &upstream{answer: unknown404}
	c := newClient(t, u.config())
	id := uuid.New()
	for asked := range int64(3) {
		require.ErrorIs(t, c.Verify(t.Context(), id), order.ErrUserUnknown)
		require.Equal(t, asked+1, u.requests.Load())
	}
	u.answer = found200
	require.NoError(t, c.Verify(t.Context(), id))
	require.EqualValues(t, 4, u.requests.Load())
}

// endless is a body without end that counts the bytes read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	clear(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

func TestAnEndlessAnswerIsReadToItsLimitOnly(t *testing.T) {
	for _, status := range []int{200, 302, 401, 404, 429, 500} {
		body := &endless{}
		u := &upstream{answer: func(*http.Request) (*http.Response, error) {
			r := respond(status, "")
			r.Body, r.ContentLength = body, -1
			return r, nil
		}}
		cfg := u.config()
		cfg.MaxTries = 1
		requireUnavailable(t, verifyNew(t.Context(), newClient(t, cfg)))
		require.LessOrEqual(t, body.read, maxAnswer+1, "for a %d", status)
	}
}

func TestAnErrorNeverQuotesTheAnswer(t *testing.T) {
	for _, body := range []string{
		`{"id":"secret"}`, `{"id":secret}`, `{"secret":1,"secret":1}`, `{"id":1,"name":"secret"}`, `secret`,
	} {
		u := &upstream{answer: func(*http.Request) (*http.Response, error) {
			return respond(http.StatusOK, body), nil
		}}
		err := verifyNew(t.Context(), newClient(t, u.config()))
		require.NotContains(t, fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), "secret")
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		value string
		want  time.Duration
		ok    bool
	}{
		{name: "seconds", value: "120", want: 2 * time.Minute, ok: true},
		{name: "at once", value: "0", want: 0, ok: true},
		{name: "spaces around", value: " 7 ", want: 7 * time.Second, ok: true},
		{name: "date", value: "Wed, 01 Jan 2025 00:00:30 GMT", want: 30 * time.Second, ok: true},
		{name: "date gone by", value: "Tue, 31 Dec 2024 23:00:00 GMT", want: 0, ok: true},
		{name: "absurdly long", value: "999999999999999999999999", want: maxRetryAfter, ok: true},
		{name: "too long", value: "2147483647", want: maxRetryAfter, ok: true},
		{name: "date too far", value: "Wed, 01 Jan 2200 00:00:00 GMT", want: maxRetryAfter, ok: true},
		{name: "absent", value: ""},
		{name: "negative", value: "-1"},
		{name: "fraction", value: "1.5"},
		{name: "words", value: "soon"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseRetryAfter(test.value, now)
			require.Equal(t, test.ok, ok)
			require.Equal(t, test.want, got)
		})
	}
}
