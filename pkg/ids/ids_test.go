package ids_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/ids"
)

func TestAnIDHasItsCreationTime(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	id, err := ids.New()
	require.NoError(t, err)
	at := ids.Time(id)
	require.False(t, at.Before(before))
	require.WithinDuration(t, before, at, time.Minute)

	below := func(a, b uuid.UUID) bool { return bytes.Compare(a[:], b[:]) < 0 }
	require.True(t, below(ids.At(at), id))
	require.True(t, below(id, ids.At(at.Add(time.Millisecond))))
	require.Equal(t, uuid.Nil, ids.At(time.Time{}))
	require.True(t, below(id, ids.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))))
	require.True(t, below(ids.At(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)), ids.Max))
}
