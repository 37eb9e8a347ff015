package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/example/microservices/internal/catalog"
	"github.com/example/microservices/internal/testkit/issuer"
)

// tokenLife is how long a service's own token is good: longer than anybody leaves it
// running.
const tokenLife = 30 * 24 * time.Hour

// authEnvironment returns what makes a service want tokens of the development
// issuer, whose key is made if need be. One that needs others gets a token of its own.
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
