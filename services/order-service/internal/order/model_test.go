package order

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSizeCountsEveryText: what Size forgets, a caller may read without being charged for it.
func TestSizeCountsEveryText(t *testing.T) {
	o := Order{Items: []Item{{}}}
	for _, part := range []any{&o, &o.Items[0]} {
		v := reflect.ValueOf(part).Elem()
		for i := range v.NumField() {
			before, long := o.Size(), strings.Repeat("x", 1000)
			switch v.Field(i).Interface().(type) {
			case string:
				v.Field(i).SetString(long)
			case *string:
				v.Field(i).Set(reflect.ValueOf(&long))
			default:
				continue
			}
			require.GreaterOrEqual(t, o.Size(), before+len(long), v.Type().Field(i).Name)
		}
	}
}
