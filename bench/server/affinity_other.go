//go:build !linux

package server

// OnProcessor calls f; processors can be chosen on Linux only.
func OnProcessor(_ int, f func() error) error { return f() }
