package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const file = `before
  # generated from services/*/service.yaml: one
  old
  # generated: end
between
    -- generated from services/*/service.yaml: two
    -- generated: end
after
`

func TestOnlyRegionsAreReplaced(t *testing.T) {
	got, err := replace(file, map[string]string{"one": "  new\n", "two": "    newer\n"})
	require.NoError(t, err)
	require.Equal(t, `before
  # generated from services/*/service.yaml: one
  new
  # generated: end
between
    -- generated from services/*/service.yaml: two
    newer
    -- generated: end
after
`, got)
}

func TestALostRegionIsNamed(t *testing.T) {
	_, err := replace(file, map[string]string{"one": "", "two": "", "three": ""})
	require.EqualError(t, err, "there is no region three")
	_, err = replace(file, map[string]string{"one": ""})
	require.EqualError(t, err, "regions.tmpl has no region two")
}
