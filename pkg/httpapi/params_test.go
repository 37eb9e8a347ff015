package httpapi

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheErrorForAnUnknownParameterListsTheKnownOnes(t *testing.T) {
	parameters, _ := inputOf(reflect.TypeFor[PageParams]())
	for name, row := range map[string]struct {
		o    operation
		says string
	}{
		"of a list": {operation{parameters: parameters}, "is not a known parameter; known are limit, cursor"},
		"of none":   {operation{}, "is not a known parameter; the operation has none"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problem := row.o.readQuery("page_size=3")
			require.Equal(t, []Detail{{Location: "query.page_size", Message: row.says}}, problem.Errors)
		})
	}
}
