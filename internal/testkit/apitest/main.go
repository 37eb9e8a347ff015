package apitest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a service, and then fails when the document has an
// operation or a status that no test has seen. A run of some of the tests is
// not held to that.
func Main(m *testing.M, d *Document) int {
	code := m.Run()
	if code != 0 || partial() {
		return code
	}
	untested := d.Untested()
	for _, what := range untested {
		fmt.Fprintln(os.Stderr, "in the document, but in no test:", what)
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
