// Package compose tests `make compose` on a real Docker Engine:
//
//	go test -tags e2e -count=1 ./test/compose
//
// It uses the engine that runs on this machine. Without one, root on Linux can run Debian's
// engine in namespaces that end with the tests.
package compose
