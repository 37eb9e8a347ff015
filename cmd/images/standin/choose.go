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

// reachTimeout is how long a registry may take to respond before a stand-in is used.
const reachTimeout = 10 * time.Second

// BaseFor returns the referenced image for all its platforms, or, with a message on stderr,
// [Base] if its registry can't be reached.
func BaseFor(ctx context.Context, reference string) (v1.ImageIndex, error) {
	named, err := reach(ctx, reference)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s: %v\n", reference, err)
		return Base(ctx)
	}
	return remote.Index(named, remote.WithContext(ctx))
}

// PostgresFor returns the referenced image for this machine's processor, or, with a message
// on stderr, [Postgres] if its registry can't be reached.
func PostgresFor(ctx context.Context, reference string) (v1.Image, error) {
	named, err := reach(ctx, reference)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s: %v\n", reference, err)
		return Postgres(ctx)
	}
	return remote.Image(named, remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
}

// reach checks that a registry has an image, and returns the parsed reference.
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
