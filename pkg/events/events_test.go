package events_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestACursorIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Int64Range(0, 1e18-1)
		a := events.Cursor{Turn: number.Draw(t, "turn"), Position: number.Draw(t, "position")}
		b := events.Cursor{Turn: number.Draw(t, "another turn"), Position: number.Draw(t, "another position")}
		read, err := events.ParseCursor(a.String())
		require.NoError(t, err)
		require.Equal(t, a, read)
		require.Zero(t, a.Compare(read))
		require.Equal(t, -a.Compare(b), b.Compare(a))
		require.Equal(t, 1, events.Cursor{Turn: a.Turn, Position: 1}.Compare(events.Cursor{Turn: a.Turn}))
		require.GreaterOrEqual(t, a.Compare(events.Cursor{}), 0, "nothing is before the beginning")
	})
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-+ 0-9]{0,5}-[-+ 0-9]{0,25}|[0-9]{17,20}-[0-9]{17,20}`)).Draw(t, "anything")
		read, err := events.ParseCursor(s)
		if err == nil && s != "" {
			require.Equal(t, s, read.String(), "a cursor has only one form")
			require.Regexp(t, events.CursorPattern, s)
		}
	})
}

func TestConsumers(t *testing.T) {
	var l events.ConsumerList
	require.NoError(t, l.Decode(" order-service=system:serviceaccount:shop:orders, mail2 ,, "))
	require.Equal(t, events.ConsumerList{"order-service": "system:serviceaccount:shop:orders", "mail2": ""}, l)
	require.NoError(t, l.Decode("mail = service:mail ,a"))
	require.Equal(t, events.ConsumerList{"mail": "service:mail", "a": ""}, l, "blanks belong to no subject: it would match no token")
	require.NoError(t, l.Decode(""))
	require.Empty(t, l)
	for _, wrong := range []string{"Order", "a b", "a/b", "ä", "a,b_c", "x123456789012345678901234567890123456789012345678901234567890123"} {
		require.ErrorContains(t, l.Decode(wrong), "lower case letters", wrong)
	}
	require.ErrorContains(t, l.Decode("a="), "must have the subject")
	require.ErrorContains(t, l.Decode("=a"), "lower case letters")
	require.ErrorContains(t, l.Decode("a,a=b"), "once")
}

func TestALongPollIsAtMostThirtySeconds(t *testing.T) {
	var w events.WaitParam
	require.NoError(t, w.UnmarshalText([]byte("30s")))
	require.Equal(t, 30*time.Second, time.Duration(w))
	for _, wrong := range []string{"", "1", "30001ms", "-1s", "1h", "x", "1.5s", "0.01m", "1us", "1µs", "+1s"} {
		require.Error(t, w.UnmarshalText([]byte(wrong)), wrong)
	}
	for _, right := range []string{"0s", "1s", "30s", "0ms", "1ms", "1500ms", "2000ms", "9999ms"} {
		require.NoError(t, w.UnmarshalText([]byte(right)))
		sent := w
		require.NoError(t, w.UnmarshalText([]byte(sent.String())), "what a link repeats is valid")
		require.Equal(t, sent, w)
	}
}
