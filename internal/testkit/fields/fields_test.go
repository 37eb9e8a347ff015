package fields

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type part struct{ A, B int }

type whole struct {
	Name  string
	Age   *int
	Parts []part
	At    time.Time
}

func TestUnsetFieldsAreNamed(t *testing.T) {
	zero := 0
	all := whole{Name: "a", Age: &zero, Parts: []part{{1, 2}}, At: time.Now()}
	RequireSet(t, all)
	for path, change := range map[string]func(*whole){
		"w.Name": func(w *whole) { w.Name = "" }, "w.Age": func(w *whole) { w.Age = nil }, "w.Parts": func(w *whole) { w.Parts = nil },
		"w.Parts[0].B": func(w *whole) { w.Parts = []part{{1, 0}} }, "w.At": func(w *whole) { w.At = time.Time{} },
	} {
		w := all
		change(&w)
		require.Equal(t, []string{path}, unset(reflect.ValueOf(w), "w"))
	}
}

func TestFieldsThatDifferPass(t *testing.T) {
	RequireDiffer(t, part{1, 2}, part{2, 2}, "B")
	RequireErased(t, part{1, 2}, part{0, 2}, "B")
	require.Equal(t, []string{"B"}, same(part{1, 2}, part{2, 2}, nil))
}
