package userclient

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func FuzzDecodeUser(f *testing.F) {
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	for _, seed := range []string{
		userBody(id.String()), userBody(uuid.Nil.String()), `{"id":null}`, `{"id":"` + id.String() + `"} x`,
		`{"id":"` + id.String() + `","id":"x"}`, `{"ID":"` + id.String() + `"}`, `[]`, `null`, ``, "\xff",
		`{"id":"\u0030` + id.String()[1:] + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if decodeUser(body, id) != nil {
			return
		}
		// Another decoder must find the same id in every accepted body.
		var members map[string]any
		err := json.Unmarshal(body, &members)
		require.NoError(t, err)
		got, _ := members["id"].(string)
		require.True(t, strings.EqualFold(id.String(), got), "accepted %q", body)
		require.Error(t, decodeUser(body, uuid.Nil), "one body was accepted for two users")
	})
}

func FuzzJudgeNotFound(f *testing.F) {
	for _, seed := range []string{`{"status":404}`, `{}`, `{"status":"404"}`, `{"status":503}`, `null`, ``, `[]`} {
		f.Add("application/problem+json", []byte(seed))
	}
	f.Add("text/html", []byte(`{"status":404}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		err := judgeNotFound(http.Header{"Content-Type": {contentType}}, body)
		require.Error(t, err, "a 404 was accepted as a user")
		if outcomeOf(err) == unknown {
			var problem map[string]any
			require.NoError(t, json.Unmarshal(body, &problem))
			require.NotNil(t, problem)
		} else {
			require.Equal(t, invalid, outcomeOf(err))
		}
	})
}
