// Package catalog reads the descriptions of the services, services/NAME/service.yaml: the only
// place that lists them.
package catalog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Service is the description of a service for the rest of the project.
type Service struct {
	// Name is the name of its folder, program, image and host, such as user-service.
	Name string
	// Port is its default port.
	Port int
	// Path is the path of its resources, such as /api/v1/users.
	Path string
	// Noun is the name of one resource, such as user.
	Noun string
	// Database is the name of its PostgreSQL database, role and schema.
	Database string
	// Scopes are the scopes that people's tokens may have for it.
	Scopes []string
	// CallerScopes are the scopes of services that need this one.
	CallerScopes []string `yaml:"callerScopes"`
	// EventConsumers are the services that must process this one's events.
	EventConsumers []string `yaml:"eventConsumers"`
	// Needs are the services that it calls.
	Needs []string
	// Variables are its own variables that Compose passes on.
	Variables []string
}

// Prefix is the prefix of variables about the service, such as USER in USER_PORT.
func (s Service) Prefix() string {
	return upper(strings.TrimSuffix(s.Name, "-service"))
}

// Identifier is its name without hyphens, such as user_service.
func (s Service) Identifier() string { return strings.ReplaceAll(s.Name, "-", "_") }

// Nouns is the name of its resources in its path, such as users.
func (s Service) Nouns() string { return s.Path[strings.LastIndex(s.Path, "/")+1:] }

// Upstreams are the variables with the addresses of the services that it needs: variable, such as
// USER_SERVICE_URL, and service.
func (s Service) Upstreams() map[string]string {
	all := map[string]string{}
	for _, name := range s.Needs {
		all[upper(name)+"_URL"] = name
	}
	return all
}

// Tokens are the variables with the files of its own tokens: variable, such as
// USER_CLIENT_TOKEN_FILE, and the service that the token is for.
func (s Service) Tokens() map[string]string {
	all := map[string]string{}
	for _, name := range s.Needs {
		all[Service{Name: name}.Prefix()+"_CLIENT_TOKEN_FILE"] = name
	}
	return all
}

// ScopesFor returns the scopes of a service's own token, for those that it needs.
func ScopesFor(s Service, all []Service) []string {
	var scopes []string
	for _, other := range all {
		if slices.Contains(s.Needs, other.Name) {
			scopes = append(scopes, other.CallerScopes...)
		}
	}
	return scopes
}

func upper(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// Root returns the project's folder, relative to the working directory, or "" outside of the
// project.
func Root() string {
	for depth := range 20 {
		root := strings.Repeat("../", depth) + "."
		_, err := os.Stat(filepath.Join(root, "go.mod"))
		if err == nil {
			return root
		}
	}
	return ""
}

// Read returns the services of the project at root, each after those that it needs. The error
// lists all problems of their files.
func Read(root string) ([]Service, error) {
	files, err := filepath.Glob(filepath.Join(root, "services/*/service.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no services/*/service.yaml in %s", root)
	}
	var all []Service
	var problems []error
	for _, file := range files {
		s, err := read(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Service) int { return cmp.Compare(a.Port, b.Port) })
	all, err = inOrder(all)
	err = errors.Join(append(problems, err, distinct(all))...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Names returns the names of services.
func Names(all []Service) []string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	return names
}

var (
	nameForm     = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	databaseForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	pathForm     = regexp.MustCompile(`^/api/v1/[a-z][a-z0-9-]*$`)
)

func read(file string) (Service, error) {
	var s Service
	content, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	err = decoder.Decode(&s)
	if err != nil {
		return s, err
	}
	return s, s.check(filepath.Base(filepath.Dir(file)))
}

func (s Service) check(folder string) error {
	switch {
	case s.Name != folder:
		return fmt.Errorf("name is %q, and the folder %q", s.Name, folder)
	case !nameForm.MatchString(s.Name):
		return fmt.Errorf("name %q: lower case letters, digits and single hyphens", s.Name)
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port %d: 1 to 65535", s.Port)
	case !databaseForm.MatchString(s.Database):
		return fmt.Errorf("database %q: lower case letters, digits and underscores", s.Database)
	case !pathForm.MatchString(s.Path):
		return fmt.Errorf("path %q: /api/v1/ and the plural of the resource", s.Path)
	case s.Noun == "":
		return errors.New("noun is missing")
	}
	return nil
}

// inOrder puts each service after those that it needs.
func inOrder(all []Service) ([]Service, error) {
	var ordered []Service
	left := slices.Clone(all)
	for len(left) > 0 {
		next := slices.IndexFunc(left, func(s Service) bool {
			return !slices.ContainsFunc(s.Needs, func(name string) bool { return !slices.Contains(Names(ordered), name) })
		})
		if next < 0 {
			return all, fmt.Errorf("unknown or circular needs of %s", strings.Join(Names(left), ", "))
		}
		ordered = append(ordered, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return ordered, nil
}

// distinct returns an error if two services have the same port, path or database.
func distinct(all []Service) error {
	var problems []error
	taken := map[string]string{}
	for _, s := range all {
		for what, value := range map[string]string{"port": fmt.Sprint(s.Port), "path": s.Path, "database": s.Database} {
			other, is := taken[what+value]
			if is {
				problems = append(problems, fmt.Errorf("%s and %s have the same %s: %s", other, s.Name, what, value))
			}
			taken[what+value] = s.Name
		}
	}
	return errors.Join(problems...)
}
