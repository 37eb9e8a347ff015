package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/example/microservices/internal/catalog"
	"github.com/example/microservices/internal/testkit/issuer"
)

// tokenLife is the lifetime of a service's own token, which is not renewed.
const tokenLife = 30 * 24 * time.Hour

// authEnvironment returns variables that make a service require tokens of the development
// issuer, whose key it creates if missing. A service that calls others also gets a token.
func (s settings) authEnvironment(service catalog.Service) ([]string, error) {
	if !s.auth {
		return nil, nil
	}
	dir := filepath.Join(s.dataDir, "issuer")
	i, err := issuer.Folder(dir)
	if err != nil {
		return nil, fmt.Errorf("make the development issuer: %w", err)
	}
	keys, err := issuer.KeysURL(dir)
	if err != nil {
		return nil, err
	}
	env := []string{"AUTH_REQUIRED=true", "AUTH_ISSUERS=" + i.Setting(service.Name, keys, fmt.Sprintf(`"max_life":%q`, tokenLife))}
	if len(service.Needs) == 0 {
		return env, nil
	}
	token, err := i.Token(service.Needs, service.Name, strings.Join(catalog.ScopesFor(service, s.services), " "), issuer.ValidFor(tokenLife))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, service.Name+".token")
	for variable := range service.Tokens() {
		env = append(env, variable+"="+path)
	}
	return env, issuer.WriteToken(path, token)
}
