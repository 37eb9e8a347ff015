// Command generate renders services/*/service.yaml into other tools' files, only between
// lines such as
//
//	# generated from services/*/service.yaml: builds
//	# generated: end
//
// go run ./cmd/generate FOLDER writes the resulting files below FOLDER; make generate copies
// them from there. The templates are in regions.tmpl.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/example/microservices/internal/catalog"
)

//go:embed regions.tmpl
var regions string

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(2)
	}
	err := generate(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate renders the files of the project at root into folder.
func generate(root, folder string) error {
	services, err := catalog.Read(root)
	if err != nil {
		return err
	}
	// Not {{ }}, which Helm's and Skaffold's templates use.
	all, err := template.New("").Delims("[[", "]]").Funcs(template.FuncMap{"pad": pad}).Parse(regions)
	if err != nil {
		return err
	}
	rendered := map[string]map[string]string{} // by file and region
	for _, t := range all.Templates() {
		file, region, _ := strings.Cut(t.Name(), ": ")
		var text strings.Builder
		err := t.Execute(&text, services)
		if err != nil {
			return err
		}
		if rendered[file] == nil {
			rendered[file] = map[string]string{}
		}
		rendered[file][region] = strings.TrimPrefix(text.String(), "\n")
	}
	delete(rendered, "") // the text between the definitions
	for file, texts := range rendered {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		replaced, err := replace(string(content), texts)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		path := filepath.Join(folder, file)
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(replaced), 0o644))
		if err != nil {
			return err
		}
	}
	return nil
}

// pad pads a service's name to the length of the longest one, as OpenTofu aligns them.
func pad(all []catalog.Service, name string) string {
	for _, other := range catalog.Names(all) {
		name += strings.Repeat(" ", max(0, len(other)-len(name)))
	}
	return name
}

var region = regexp.MustCompile(`(?ms)^( *(?:#|--) generated from services/\*/service\.yaml: ([a-z-]+)\n)(.*?)(^ *(?:#|--) generated: end$)`)

// replace replaces the regions of a file, by name. A missing region is an error.
func replace(content string, texts map[string]string) (string, error) {
	var problems []error
	seen := map[string]bool{}
	replaced := region.ReplaceAllStringFunc(content, func(whole string) string {
		part := region.FindStringSubmatch(whole)
		text, known := texts[part[2]]
		if !known {
			problems = append(problems, fmt.Errorf("regions.tmpl has no region %s", part[2]))
		}
		seen[part[2]] = true
		return part[1] + text + part[4]
	})
	for name := range texts {
		if !seen[name] {
			problems = append(problems, fmt.Errorf("there is no region %s", name))
		}
	}
	return replaced, errors.Join(problems...)
}
