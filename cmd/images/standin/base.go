// Package standin builds stand-ins for public images from Debian packages, on machines that
// can't reach a registry. They are for tests and experiments, not for production.
package standin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is the user of that name in distroless images.
const nonroot = 65532

const note = "not the image it stands in for: made of Debian's packages for tests"

// Base returns a stand-in for gcr.io/distroless/static:nonroot, for linux/amd64 and
// linux/arm64. Its content is the same for both.
func Base(ctx context.Context) (index v1.ImageIndex, err error) {
	dir, err := os.MkdirTemp("", "base-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = download(ctx, dir, "base-files", "ca-certificates", "media-types", "netbase", "tzdata")
	if err != nil {
		return nil, err
	}
	all, err := baseFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	layer, err := all.layer()
	if err != nil {
		return nil, err
	}
	index = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := imageOf(layer, v1.Platform{OS: "linux", Architecture: architecture}, v1.Config{
			User:       "65532",
			WorkingDir: "/home/nonroot",
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			Labels:     map[string]string{"org.opencontainers.image.description": note},
		})
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return index, nil
}

// baseFiles returns the files that a static binary needs: certificates, time zones, users,
// and names of services and media types.
func baseFiles(ctx context.Context, dir string) (files, error) {
	all := files{}
	var certificates bytes.Buffer
	err := unpack(ctx, dir, func(header *tar.Header, content io.Reader) error {
		name := header.Name
		wanted := strings.HasPrefix(name, "usr/share/zoneinfo/") || strings.HasPrefix(name, "usr/share/doc/") && strings.HasSuffix(name, "/copyright") ||
			name == "etc/protocols" || name == "etc/services" || name == "etc/mime.types" || name == "usr/lib/os-release" || name == "etc/debian_version"
		switch {
		case strings.HasPrefix(name, "usr/share/ca-certificates/") && strings.HasSuffix(name, ".crt"):
			_, err := io.Copy(&certificates, content)
			return err
		case wanted:
			return all.add(header, content)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all.text("etc/ssl/certs/ca-certificates.crt", certificates.String())
	all.text("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
	all.text("etc/group", "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n")
	all.text("etc/nsswitch.conf", "hosts: files dns\n")
	all.link("etc/os-release", "../usr/lib/os-release")
	all.dir("tmp", 0o1777, 0)
	all.dir("root", 0o700, 0)
	all.dir("home/nonroot", 0o700, nonroot)
	return all, nil
}

// imageOf returns an image with one layer.
func imageOf(layer v1.Layer, platform v1.Platform, config v1.Config) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Config: config,
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: note}})
}
