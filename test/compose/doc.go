// Package compose tests `make compose` on a real Docker Engine:
//
//	go test -tags e2e -count=1 ./test/compose
//
// It takes the engine that runs on this machine. Where none does, root on Linux
// gets one of its own: Debian's, in namespaces that nothing outlives.
package compose
