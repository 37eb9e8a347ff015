// Images builds stand-ins for public images and pushes them to a registry, for machines that
// can't reach public registries:
//
//	go run ./cmd/images base REGISTRY/NAME:TAG       for `make images BASE_IMAGE=REGISTRY/NAME:TAG`
//	go run ./cmd/images postgres REGISTRY/NAME:TAG   PostgreSQL of this machine's Debian release
//
// It uses no TLS for a registry on localhost. It prints the reference with its digest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/example/microservices/cmd/images/standin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := push(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func push(ctx context.Context, arguments []string, stdout io.Writer) error {
	if len(arguments) != 2 {
		return errUsage
	}
	reference, err := name.ParseReference(arguments[1])
	if err != nil {
		return err
	}
	var digest v1.Hash
	switch arguments[0] {
	case "base":
		digest, err = pushBase(ctx, reference)
	case "postgres":
		digest, err = pushPostgres(ctx, reference)
	default:
		return errUsage
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s@%s\n", reference, digest)
	return err
}

var errUsage = errors.New("usage: go run ./cmd/images base|postgres REGISTRY/NAME:TAG")

func pushBase(ctx context.Context, reference name.Reference) (v1.Hash, error) {
	index, err := standin.Base(ctx)
	if err != nil {
		return v1.Hash{}, err
	}
	err = remote.WriteIndex(reference, index, remote.WithContext(ctx))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("can't push to %s: %w", reference, err)
	}
	return index.Digest()
}

func pushPostgres(ctx context.Context, reference name.Reference) (v1.Hash, error) {
	image, err := standin.Postgres(ctx)
	if err != nil {
		return v1.Hash{}, err
	}
	err = remote.Write(reference, image, remote.WithContext(ctx))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("can't push to %s: %w", reference, err)
	}
	return image.Digest()
}
