package apitest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a service. It then fails if an operation or status of the
// document wasn't tested, unless only some tests were selected.
func Main(m *testing.M, d *Document) int {
	code := m.Run()
	if code != 0 || partial() {
		return code
	}
	untested := d.Untested()
	for _, what := range untested {
		fmt.Fprintln(os.Stderr, "in the document, but not tested:", what)
	}
	if len(untested) > 0 {
		return 1
	}
	return 0
}

func partial() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
