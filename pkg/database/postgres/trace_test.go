package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// TestNoValueOfAnErrorIsTraced: the messages of PostgreSQL and pgx contain values.
func TestNoValueOfAnErrorIsTraced(t *testing.T) {
	const canary = "kanarienvogel@example.com"
	answered := withoutValues(fmt.Errorf("insert: %w", &pgconn.PgError{
		Severity: "ERROR", Code: "22P02", Message: `invalid input syntax for type uuid: "` + canary + `"`, Detail: canary,
	}))
	require.NotContains(t, fmt.Sprintf("%+v", answered), canary)
	require.Contains(t, answered.Error(), "22P02")
	require.NotContains(t, withoutValues(errors.New("failed to encode "+canary)).Error(), canary)
	for _, known := range []error{nil, pgx.ErrNoRows, context.Canceled, context.DeadlineExceeded} {
		require.Equal(t, known, withoutValues(known))
	}
}

// TestAnswersCountWithoutATrace: most queries belong to no recorded trace.
func TestAnswersCountWithoutATrace(t *testing.T) {
	count := &answerCount{}
	traced := newTracer(count)
	traced.TraceQueryEnd(t.Context(), nil, pgx.TraceQueryEndData{})
	require.EqualValues(t, 1, count.Load())
	traced.TraceQueryEnd(t.Context(), nil, pgx.TraceQueryEndData{Err: errQuery})
	require.EqualValues(t, 1, count.Load())
}
