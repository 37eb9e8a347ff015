// Command newservice creates a service from a template: resources owned by callers, with
// operations to create, read, list, change and delete them, on both kinds of database.
//
//	make new-service NAME=inventory NOUN=item PORT=8002
//
// creates services/inventory-service, which keeps items, adds it to the chart's values of
// each environment, and runs make generate. _template is ordinary Go: the words widget and
// widget-service are replaced. docs/add-a-service.md describes the next steps.
package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/example/microservices/internal/catalog"
)

//go:embed all:_template
var files embed.FS

func main() {
	n := naming{}
	flag.StringVar(&n.name, "name", "", "name of the service, with or without -service")
	flag.StringVar(&n.noun, "noun", "", "singular of the resource, such as item")
	flag.StringVar(&n.nouns, "nouns", "", "plural of the resource (items)")
	flag.IntVar(&n.port, "port", 0, "port of the service")
	flag.Parse()
	err := n.complete()
	if err == nil {
		err = create(".", n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "new-service:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stdout, "created services/%s; next steps: docs/add-a-service.md\n", n.name)
}

// naming holds the names and the port of a new service.
type naming struct {
	name, noun, nouns string
	port              int
}

var (
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	nounForm = regexp.MustCompile(`^[a-z]{2,}$`)
	// taken are words with another meaning in a service's code.
	taken = []string{"api", "access", "auth", "bytes", "context", "database", "db", "embed", "errors", "fmt", "http", "httpapi", "huma", "idempotency", "ids", "invalid", "it", "migration", "page", "pgx", "postgres", "service", "sqlite", "store", "text", "time", "transfer", "url", "uuid"}
)

// complete sets missing fields and validates the others.
func (n *naming) complete() error {
	if n.nouns == "" {
		n.nouns = n.noun + "s"
	}
	switch {
	case !nameForm.MatchString(n.name):
		return fmt.Errorf("NAME=%s: lower case letters, digits and single hyphens, such as NAME=inventory", n.name)
	case !nounForm.MatchString(n.noun) || !nounForm.MatchString(n.nouns) || n.noun == n.nouns:
		return fmt.Errorf("NOUN=%s NOUNS=%s: singular and plural of the resource, in lower case letters, such as NOUN=box NOUNS=boxes", n.noun, n.nouns)
	case token.IsKeyword(n.noun) || slices.Contains(taken, n.noun) || slices.Contains(taken, n.nouns):
		return fmt.Errorf("NOUN=%s: the name has another meaning in a service's code", n.noun)
	case n.port < 1024 || n.port > 65535:
		return fmt.Errorf("PORT=%d: 1024 to 65535, such as PORT=8002", n.port)
	}
	n.name = strings.TrimSuffix(n.name, "-service") + "-service"
	return nil
}

var article = regexp.MustCompile(`\b([aA]) ([wW]idget(?:-service)?)`)

// words returns a function that replaces the template's words in a text.
func (n *naming) words() func(string) string {
	camel := ""
	for part := range strings.SplitSeq(n.name, "-") {
		camel += capital(part)
	}
	words := strings.NewReplacer(
		"widget-service", n.name, "Widget-service", capital(n.name), "widget_service", strings.ReplaceAll(n.name, "-", "_"), "WidgetService", camel,
		"widgets", n.nouns, "Widgets", capital(n.nouns), "widget", n.noun, "Widget", capital(n.noun),
		"65535", strconv.Itoa(n.port),
	)
	return func(text string) string {
		return words.Replace(article.ReplaceAllStringFunc(text, func(found string) string {
			if strings.ContainsAny(words.Replace(found[2:])[:1], "aeiouAEIOU") {
				return found[:1] + "n" + found[1:]
			}
			return found
		}))
	}
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// create creates the service in the project at root.
func create(root string, n naming) error {
	existing, err := catalog.Read(root)
	if err != nil {
		return err
	}
	for _, s := range existing {
		if s.Name == n.name || s.Port == n.port || s.Nouns() == n.nouns {
			return fmt.Errorf("%s already exists: it keeps %s and listens on port %d", s.Name, s.Nouns(), s.Port)
		}
	}
	words := n.words()
	err = fs.WalkDir(files, "_template", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		text := []byte(words(string(content)))
		if filepath.Ext(path) == ".go" { // other word lengths change the alignment, and the order of imports
			text, err = format.Source(text)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		target := filepath.Join(root, "services", n.name, words(strings.TrimPrefix(path, "_template/")))
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o750), os.WriteFile(target, text, 0o644))
	})
	if err != nil {
		return err
	}
	for environment, block := range blocks {
		err := insert(filepath.Join(root, "charts/microservices/values-"+environment+".yaml"), words(block))
		if err != nil {
			return err
		}
	}
	return nil
}

// blocks are added to the chart's values of each environment, for the service's database.
// They are written once, not regenerated.
var blocks = map[string]string{
	"dev": `  widget-service:
    database:
      existingSecret: widget-service-database
`,
	"staging": `  widget-service:
    database:
      externalSecret:
        key: staging/widget-service/database
        property: url
    public:
      host: widgets.staging.example.com
`,
	"prod": `  widget-service:
    database:
      externalSecret:
        key: prod/widget-service/database
        property: url
`,
}

var servicesBlock = regexp.MustCompile(`(?m)^services:\n(?:  .*\n)+`)

// insert appends a block to the services of a values file.
func insert(file, block string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	end := servicesBlock.FindIndex(content)
	if end == nil {
		return fmt.Errorf("%s: there is no block called services", file)
	}
	return os.WriteFile(file, slices.Insert(content, end[1], []byte(block)...), 0o644)
}
