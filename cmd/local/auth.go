package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/example/microservices/internal/testkit/issuer"
)

// tokenLife is how long order-service's own token is good: longer than anybody
// leaves both running.
const tokenLife = 30 * 24 * time.Hour

// authEnvironment returns what makes a service want tokens of the development
// issuer, whose key is made if need be. order-service gets one of its own.
func (s settings) authEnvironment(service string) ([]string, error) {
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
	env := []string{"AUTH_REQUIRED=true", "AUTH_ISSUERS=" + i.Setting(service, keys, fmt.Sprintf(`"max_life":%q`, tokenLife))}
	if service != orderService {
		return env, nil
	}
	token, err := i.Token([]string{userService}, orderService, "users:lookup", issuer.ValidFor(tokenLife))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, orderService+".token")
	return append(env, "USER_CLIENT_TOKEN_FILE="+path), issuer.WriteToken(path, token)
}
