package standin

import (
	"archive/tar"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// postgresUser is the user postgres of the official image.
const postgresUser = 999

//go:embed postgres.sh
var postgresEntrypoint string

var (
	// needless matches dependencies that are not needed to run a server.
	needless = regexp.MustCompile(`^(perl|libperl|lib.*-perl|libllvm|libz3|locales|libc-l10n|openssl|dpkg|debconf|ucf|usrmerge|adduser|passwd|gcc-|tar)[^/]*\.deb$`)
	// programs matches the folder of a version's programs.
	programs = regexp.MustCompile(`^usr/lib/postgresql/([0-9]+)/bin$`)
	// documents matches documentation, translations and bitcode.
	documents = regexp.MustCompile(`^usr/share/(man|info|locale|i18n|lintian|doc/.*/[^c][^/]*$)|^usr/lib/postgresql/[0-9]+/lib/bitcode/`)
)

// Postgres returns a stand-in for the official image of PostgreSQL, for this machine's
// processor, with the newest PostgreSQL of this machine's Debian release. It supports
// POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA and the .sql files of
// /docker-entrypoint-initdb.d, and runs as any user.
func Postgres(ctx context.Context) (image v1.Image, err error) {
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = downloadPostgres(ctx, dir)
	if err != nil {
		return nil, err
	}
	all, version, err := postgresFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	layer, err := all.layer()
	if err != nil {
		return nil, err
	}
	const home = "/var/lib/postgresql"
	return imageOf(layer, v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, v1.Config{
		Entrypoint: []string{"/usr/local/bin/docker-entrypoint.sh"},
		Cmd:        []string{"postgres"},
		Env: []string{
			// First, because Debian's wrappers of the same names in /usr/bin need Perl.
			"PATH=/usr/lib/postgresql/" + version + "/bin:/usr/local/bin:/usr/bin:/bin",
			"LANG=C.UTF-8", "PGDATA=" + home + "/" + version + "/docker",
		},
		Volumes:      map[string]struct{}{home: {}},
		ExposedPorts: map[string]struct{}{"5432/tcp": {}},
		StopSignal:   "SIGINT",
		Labels:       map[string]string{"org.opencontainers.image.description": note + "; PostgreSQL " + version},
	})
}

// downloadPostgres downloads PostgreSQL's packages with all dependencies, installed or not.
func downloadPostgres(ctx context.Context, dir string) error {
	err := os.Mkdir(filepath.Join(dir, "partial"), 0o700)
	if err != nil {
		return err
	}
	err = apt(ctx, dir, "--yes", "--no-install-recommends", "--download-only",
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache::archives="+dir, "-o", "Debug::NoLocking=1",
		"install", "postgresql", "dash", "coreutils")
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if needless.MatchString(entry.Name()) {
			err := os.Remove(filepath.Join(dir, entry.Name()))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// postgresFiles returns the files and PostgreSQL's major version.
func postgresFiles(ctx context.Context, dir string) (all files, version string, err error) {
	all = files{}
	err = unpack(ctx, dir, func(header *tar.Header, content io.Reader) error {
		header.Name = merged(header.Name)
		if header.Name == "" || documents.MatchString(header.Name) {
			return nil
		}
		if header.Typeflag == tar.TypeLink {
			header.Linkname = merged(header.Linkname)
		}
		if found := programs.FindStringSubmatch(header.Name); found != nil {
			version = found[1]
		}
		return all.add(header, content)
	})
	if err != nil {
		return nil, "", err
	}
	if version == "" {
		return nil, "", fmt.Errorf("the packages of PostgreSQL have no %s", programs)
	}
	for _, name := range slices.Sorted(slices.Values(system)) {
		all.link(name, "usr/"+name)
	}
	all.text("etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\npostgres:x:%[1]d:%[1]d::/var/lib/postgresql:/bin/sh\n", postgresUser))
	all.text("etc/group", fmt.Sprintf("root:x:0:\npostgres:x:%d:\n", postgresUser))
	all.dir("tmp", 0o1777, 0)
	all.dir("run/postgresql", 0o3777, postgresUser)
	all.link("var/run", "../run")
	all.dir("var/lib/postgresql", 0o1777, postgresUser)
	all.text("usr/local/bin/docker-entrypoint.sh", postgresEntrypoint)
	all.executable("usr/local/bin/docker-entrypoint.sh")
	return all, version, nil
}

// system are the folders that Debian moved to /usr; packages may still use the old paths.
var system = []string{"bin", "sbin", "lib", "lib64"}

// merged returns the path of a package's file with /usr merged.
func merged(name string) string {
	first, _, below := strings.Cut(name, "/")
	if slices.Contains(system, first) {
		if !below {
			return "" // the folder itself, which is a symlink
		}
		return "usr/" + name
	}
	return name
}
