package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is what came of a token. There are no others, which bounds the metric.
type result string

const (
	accepted     result = "accepted"
	missing      result = "missing"
	malformed    result = "malformed"
	tooLarge     result = "too_large"
	badAlgorithm result = "algorithm"
	badHeader    result = "header"
	badType      result = "type"
	badIssuer    result = "issuer"
	unknownKey   result = "unknown_key"
	badSignature result = "signature"
	expired      result = "expired"
	notYetValid  result = "not_yet_valid"
	tooLong      result = "lifetime"
	badAudience  result = "audience"
	badSubject   result = "subject"
	notJudged    result = "unavailable"
	lacksScope   result = "insufficient_scope"
)

var results = []result{
	accepted, missing, malformed, tooLarge, badAlgorithm, badHeader, badType, badIssuer, unknownKey, badSignature,
	expired, notYetValid, tooLong, badAudience, badSubject, notJudged, lacksScope,
}

// InvalidError says that a token proves nothing.
type InvalidError struct {
	result result
	// Description is fit to be shown to whoever sent the token.
	Description string
	// Missing says that there was none.
	Missing bool
	// Costly says that its signature was verified, or found wrong, before it was
	// refused: the work of a public key was done, which is far more than reading a
	// token takes. Whoever makes a service do so again and again can be made to wait.
	Costly bool
}

func (e *InvalidError) Error() string { return e.Description }

func invalid(r result, description string) error {
	return &InvalidError{result: r, Description: description}
}

// costly returns the refusal of a token whose signature was looked at.
func costly(err error) error {
	var wrong *InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	marked := *wrong
	marked.Costly = true
	return &marked
}

// UnavailableError says that a token can't be judged now: the issuer's keys, or
// its newest, are not to be had.
type UnavailableError struct {
	// RetryAfter is when it makes sense to try again.
	RetryAfter time.Duration
	// TooSoon says that the keys were had a moment ago, and that the token's was
	// not among them: it may be a new one, or nobody's.
	TooSoon bool
	// Err is the cause, for the log.
	Err error
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("the token can't be judged: %v", e.Err) }
func (e *UnavailableError) Unwrap() error { return e.Err }

type metrics struct {
	tokens  map[result]prometheus.Counter
	fetches *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	tokens := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "auth_tokens_total",
		Help: "Requests that need a token, by result.",
	}, []string{"result"})
	m := &metrics{
		tokens: map[result]prometheus.Counter{},
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auth_key_fetches_total",
			Help: "Fetches of an issuer's keys, by result: ok or failed.",
		}, []string{"issuer", "result"}),
	}
	for _, r := range results {
		m.tokens[r] = tokens.WithLabelValues(string(r))
	}
	r.MustRegister(tokens, m.fetches)
	return m
}

// fetched returns what counts the fetches of an issuer's keys. There are as many
// issuers as are configured.
func (m *metrics) fetched(issuer string) func(error) {
	ok, failed := m.fetches.WithLabelValues(issuer, "ok"), m.fetches.WithLabelValues(issuer, "failed")
	return func(err error) {
		if err != nil {
			failed.Inc()
			return
		}
		ok.Inc()
	}
}
