package sqlite

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/user-service/internal/user"
)

func BenchmarkStore(b *testing.B) {
	store, err := Open(filepath.Join(b.TempDir(), "users.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	require.NoError(b, store.Migrate(b.Context(), slog.New(slog.DiscardHandler)))
	u := user.User{Name: "Ada Lovelace", Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	for i := range 100 {
		u.ID, err = ids.New()
		require.NoError(b, err)
		address := fmt.Sprintf("ada%d@example.com", i)
		u.Email = user.EmailFromStore(address, address)
		require.NoError(b, store.Create(b.Context(), u, nil))
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := store.Get(b.Context(), u.ID)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list of 20", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := store.List(b.Context(), page.First(page.DefaultLimit))
			if err != nil || len(p.Items) != page.DefaultLimit {
				b.Fatal(err, len(p.Items))
			}
		}
	})
}
