package standin

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// files are the files of an image, by path without a leading slash.
type files map[string]file

type file struct {
	kind    byte // tar type flag
	mode    int64
	owner   int // and group
	content []byte
	target  string // of links
}

func (f files) dir(name string, mode int64, owner int) {
	f[name] = file{kind: tar.TypeDir, mode: mode, owner: owner}
}

func (f files) text(name, content string) {
	f[name] = file{kind: tar.TypeReg, mode: 0o644, content: []byte(content)}
}

func (f files) link(name, target string) {
	f[name] = file{kind: tar.TypeSymlink, mode: 0o777, target: target}
}

// executable makes a file executable for everyone.
func (f files) executable(name string) {
	changed := f[name]
	changed.mode = 0o755
	f[name] = changed
}

// layer packs the files reproducibly: sorted, without times or user names. It adds missing
// parent folders.
func (f files) layer() (v1.Layer, error) {
	all := maps.Clone(f)
	for name := range f {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, there := all[dir]; !there {
				all.dir(dir, 0o755, 0)
			}
		}
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		file := all[name]
		header := &tar.Header{
			Typeflag: file.kind, Name: name, Mode: file.mode, Uid: file.owner, Gid: file.owner,
			Size: int64(len(file.content)), Linkname: file.target, Format: tar.FormatPAX,
		}
		err := writer.WriteHeader(header)
		if err != nil {
			return nil, err
		}
		_, err = writer.Write(file.content)
		if err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
}

// add adds a file of a package.
func (f files) add(header *tar.Header, content io.Reader) error {
	added := file{kind: header.Typeflag, mode: header.Mode, target: header.Linkname}
	if header.Typeflag == tar.TypeReg {
		var err error
		added.content, err = io.ReadAll(content)
		if err != nil {
			return err
		}
	}
	f[header.Name] = added
	return nil
}
