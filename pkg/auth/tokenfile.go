package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// TokenFile returns a transport wrapper that adds the token in a file to each request. It
// reads the file each time, because such tokens are replaced before they expire, for
// example those of Kubernetes ServiceAccounts.
func TokenFile(path string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return &tokenFile{path: path, next: next} }
}

// CheckTokenFile returns an error unless the file has a token.
func CheckTokenFile(path string) error {
	_, err := readToken(path)
	return err
}

type tokenFile struct {
	path string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *tokenFile) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := readToken(t.path)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(request)
}

var errNoToken = errors.New("the file is empty")

func readToken(path string) (string, error) {
	content, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("read the token: %s: %w", path, errNoToken)
	}
	return token, nil
}
