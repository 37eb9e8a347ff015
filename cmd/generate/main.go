// Command generate renders what services/*/service.yaml say into the files of other tools,
// between lines such as
//
//	# generated from services/*/service.yaml: builds
//	# generated: end
//
// and nowhere else. go run ./cmd/generate FOLDER writes the files, as they are to be, below
// FOLDER; make generate calls it, and takes them. The renderings are in regions.tmpl.
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

// generate renders the files of the project at root into a folder.
func generate(root, folder string) error {
	services, err := catalog.Read(root)
	if err != nil {
		return err
	}
	// Helm's and Skaffold's own templates have braces.
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
	delete(rendered, "") // what is between the definitions
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

// pad makes a service's name as long as the longest, as OpenTofu aligns them.
func pad(all []catalog.Service, name string) string {
	for _, other := range catalog.Names(all) {
		name += strings.Repeat(" ", max(0, len(other)-len(name)))
	}
	return name
}

var region = regexp.MustCompile(`(?ms)^( *(?:#|--) generated from services/\*/service\.yaml: ([a-z-]+)\n)(.*?)(^ *(?:#|--) generated: end$)`)

// replace puts texts into the regions of a file. The error is of a region that one of them
// lacks.
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
