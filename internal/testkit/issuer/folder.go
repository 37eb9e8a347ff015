package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
)

// Folder returns the issuer with the key in a folder, and writes its JWK set there. It
// creates what is missing. Only the owner can read the key.
func Folder(dir string) (*Issuer, error) {
	path := filepath.Join(dir, "key.json")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		content, err = makeKey(dir, path)
	}
	if err != nil {
		return nil, err
	}
	i := &Issuer{URL: URL}
	i.keys = make([]jose.JSONWebKey, 1)
	err = json.Unmarshal(content, &i.keys[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it for a new one", path, err)
	}
	set, err := i.JWKS()
	if err != nil {
		return nil, err
	}
	return i, replace(filepath.Join(dir, "jwks.json"), set, 0o644)
}

// KeysURL returns the URL of the JWK set in a folder.
func KeysURL(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "jwks.json"))
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String(), err
}

func makeKey(dir, path string) ([]byte, error) {
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		return nil, err
	}
	i, err := New()
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(i.Key())
	if err != nil {
		return nil, err
	}
	return content, replace(path, content, 0o600)
}

// Publish writes what the services need into another folder, for containers to read: the
// JWK set, and the token of each service.
func (i *Issuer) Publish(dir string, tokens map[string]string) error {
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		return err
	}
	set, err := i.JWKS()
	if err != nil {
		return err
	}
	// World-readable: the container runs as another user.
	err = replace(filepath.Join(dir, "jwks.json"), set, 0o644)
	for service, token := range tokens {
		err = errors.Join(err, replace(filepath.Join(dir, service+".token"), []byte(token), 0o644))
	}
	return err
}

// WriteToken writes a token file atomically.
func WriteToken(path, token string) error { return replace(path, []byte(token), 0o600) }

// replace writes a file atomically.
func replace(path string, content []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(mode), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
