package access

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestReach(t *testing.T) {
	ada, bob := uuid.New(), uuid.New()
	require.True(t, All().Includes(ada))
	require.Nil(t, All().Owner())
	require.True(t, Own(ada).Includes(ada))
	require.False(t, Own(ada).Includes(bob))
	require.Equal(t, ada, *Own(ada).Owner())
}

func TestTheZeroReachIncludesNobody(t *testing.T) {
	for _, nobody := range []Reach{{}, Own(uuid.Nil)} {
		require.False(t, nobody.Includes(uuid.New()))
		require.False(t, nobody.Includes(uuid.Nil))
		require.Equal(t, uuid.Nil, *nobody.Owner(), "a filter that matches no owner")
	}
}
