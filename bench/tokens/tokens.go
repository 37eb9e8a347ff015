// Package tokens makes the tokens that are sent to what is measured.
package tokens

import (
	"github.com/google/uuid"

	"github.com/example/microservices/internal/testkit/issuer"
)

// New returns Authorization headers of several callers who may read every user,
// and the AUTH_ISSUERS of the user-service that accepts them. The issuer's key is
// made in dir.
func New(dir string, callers int) (headers []string, setting string, err error) {
	i, err := issuer.Folder(dir)
	if err != nil {
		return nil, "", err
	}
	keys, err := issuer.KeysURL(dir)
	if err != nil {
		return nil, "", err
	}
	for range callers {
		token, err := i.Token([]string{"user-service"}, uuid.NewString(), "admin")
		if err != nil {
			return nil, "", err
		}
		headers = append(headers, "Authorization: Bearer "+token)
	}
	return headers, i.Setting("user-service", keys), nil
}
