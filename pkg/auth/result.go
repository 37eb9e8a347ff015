package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is the outcome of a token. The fixed set bounds the metric's labels.
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

// InvalidError means that a token is invalid or missing.
type InvalidError struct {
	result result
	// Description may be shown to the client.
	Description string
	// Missing: there was no bearer token.
	Missing bool
	// Costly: the token was rejected after its signature was checked, which costs far more
	// than parsing. Callers can limit clients that cause this again and again.
	Costly bool
}

func (e *InvalidError) Error() string { return e.Description }

func invalid(r result, description string) error {
	return &InvalidError{result: r, Description: description}
}

// costly returns err marked as Costly.
func costly(err error) error {
	var wrong *InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	marked := *wrong
	marked.Costly = true
	return &marked
}

// UnavailableError means that a token can't be verified now, because the issuer's keys,
// or its newest ones, are unavailable.
type UnavailableError struct {
	// RetryAfter is when to retry.
	RetryAfter time.Duration
	// TooSoon: the keys were fetched just now, without the token's key. It may be new, or
	// made up.
	TooSoon bool
	// Err is the cause, for the log.
	Err error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the token can't be verified: %v", e.Err)
}
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

// fetched returns a function that counts an issuer's fetches. The label is bounded by the
// configuration.
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
