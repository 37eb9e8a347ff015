package standin

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// reachTimeout is how long a registry may take to answer before its image gets
// a stand-in.
const reachTimeout = 10 * time.Second

// BaseFor returns the image of that reference, for all its platforms, or [Base]
// where its registry can't be reached, which is said on stderr.
func BaseFor(ctx context.Context, reference string) (v1.ImageIndex, error) {
	named, err := reach(ctx, reference)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s: %v\n", reference, err)
		return Base(ctx)
	}
	return remote.Index(named, remote.WithContext(ctx))
}

// PostgresFor returns the image of that reference for this machine's processor,
// or [Postgres] where its registry can't be reached, which is said on stderr.
func PostgresFor(ctx context.Context, reference string) (v1.Image, error) {
	named, err := reach(ctx, reference)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s: %v\n", reference, err)
		return Postgres(ctx)
	}
	return remote.Image(named, remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
}

// reach asks a registry whether it has an image.
func reach(ctx context.Context, reference string) (name.Reference, error) {
	named, err := name.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	_, err = remote.Head(named, remote.WithContext(ctx))
	return named, err
}
