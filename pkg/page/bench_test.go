package page

import (
	"testing"

	"github.com/example/microservices/pkg/ids"
)

// BenchmarkCursor encodes a page's cursor and parses it.
func BenchmarkCursor(b *testing.B) {
	id, err := ids.New()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := After(Request{Before: id}.Cursor(), First(DefaultLimit))
		if err != nil || r.Before != id {
			b.Fatal(err)
		}
	}
}
