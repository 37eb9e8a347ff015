// Images makes images that stand in for public ones and pushes them to a
// registry, for machines that reach no public registry:
//
//	go run ./test/images base REGISTRY/NAME:TAG   for `make images BASE_IMAGE=REGISTRY/NAME:TAG`
//
// A registry at localhost is spoken to without TLS. The reference with its
// digest is printed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/example/microservices/test/images/standin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout io.Writer) error {
	if len(arguments) != 2 || arguments[0] != "base" {
		return errors.New("usage: go run ./test/images base REGISTRY/NAME:TAG")
	}
	reference, err := name.ParseReference(arguments[1])
	if err != nil {
		return err
	}
	index, err := standin.Base(ctx)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	err = remote.WriteIndex(reference, index, remote.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("can't push to %s: %w", reference, err)
	}
	_, err = fmt.Fprintf(stdout, "%s@%s\n", reference, digest)
	return err
}
