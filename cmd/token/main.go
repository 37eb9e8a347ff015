// Token prints a token of the development issuer, whose key it creates if missing:
//
//	go run ./cmd/token -subject ID -scopes "users:read users:write"
//
// The default subject is a fixed user, the default scopes are all user scopes.
//
// With -publish it writes files for containers into data/issuer/public instead: the public
// keys, and a token for each service that calls others.
//
// docs/auth.md explains how services accept these tokens.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/example/microservices/internal/catalog"
	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/ids"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "token:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	services, err := catalog.Read(catalog.Root())
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	data := flags.String("data", "data", "folder of the development issuer's key")
	subject := flags.String("subject", developer, "subject of the token: a user's id (UUID)")
	scopes := flags.String("scopes", strings.Join(personal(services), " "), "scopes of the token, separated by spaces")
	audience := flags.String("audience", strings.Join(catalog.Names(services), " "), "services that accept the token (its audience), separated by spaces")
	life := flags.Duration("for", time.Hour, "lifetime of the token")
	publish := flags.Bool("publish", false, "write the services' tokens and the public keys to issuer/public in the folder")
	err = flags.Parse(args)
	if err != nil {
		return err
	}
	err = check(*subject, *scopes, services)
	if err != nil {
		return err
	}
	i, err := issuer.Folder(filepath.Join(*data, "issuer"))
	if err != nil {
		return err
	}
	if *publish {
		tokens, err := serviceTokens(i, services, *life)
		if err != nil {
			return err
		}
		return i.Publish(filepath.Join(*data, "issuer", "public"), tokens)
	}
	token, err := i.Token(strings.Fields(*audience), *subject, *scopes, issuer.ValidFor(*life))
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

// developer is the default subject.
const developer = "00000000-0000-4000-8000-000000000001"

// personal returns all user scopes of all services.
func personal(services []catalog.Service) (scopes []string) {
	for _, s := range services {
		scopes = append(scopes, s.Scopes...)
	}
	return scopes
}

// check returns an error if no service would accept the subject or a scope.
func check(subject, scopes string, services []catalog.Service) error {
	_, err := ids.Parse(subject)
	if err != nil {
		return fmt.Errorf("the subject %q is not a UUID, such as %s; leave SUBJECT out to use that one", subject, developer)
	}
	known := append(personal(services), "admin")
	for _, s := range services {
		known = append(known, s.CallerScopes...)
	}
	for _, scope := range strings.Fields(scopes) {
		if !slices.Contains(known, scope) {
			return fmt.Errorf("there is no scope %q; known are %s", scope, strings.Join(known, ", "))
		}
	}
	return nil
}

// serviceTokens returns tokens for the services that call others, by service name.
func serviceTokens(i *issuer.Issuer, services []catalog.Service, life time.Duration) (map[string]string, error) {
	tokens := map[string]string{}
	for _, s := range services {
		if len(s.Needs) == 0 {
			continue
		}
		token, err := i.Token(s.Needs, s.Name, strings.Join(catalog.ScopesFor(s, services), " "), issuer.ValidFor(life))
		if err != nil {
			return nil, err
		}
		tokens[s.Name] = token
	}
	return tokens, nil
}
