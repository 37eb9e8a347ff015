package standin

import (
	"context"
	"fmt"
	"os"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// ProgramFor returns the referenced image for this machine's processor, or, with a message
// on stderr, [Program] if its registry can't be reached.
func ProgramFor(ctx context.Context, reference, name, binary string, arguments ...string) (v1.Image, error) {
	reached, err := reach(ctx, reference)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s: %v\n", reference, err)
		return Program(name, binary, arguments...)
	}
	return remote.Image(reached, remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
}

// Program returns an image of one static binary, /bin/NAME, whose entry point is the binary
// with the arguments.
func Program(name, binary string, arguments ...string) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	path := "bin/" + name
	all := files{}
	all.text(path, string(content))
	all.executable(path)
	all.dir("tmp", 0o1777, 0)
	layer, err := all.layer()
	if err != nil {
		return nil, err
	}
	return imageOf(layer, v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, v1.Config{
		Entrypoint: append([]string{"/" + path}, arguments...),
		Labels:     map[string]string{"org.opencontainers.image.description": note},
	})
}
