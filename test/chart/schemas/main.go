// Schemas writes a JSON schema for each kind that the chart renders, for
// kubeconform: kind-group-version.json in the directory that it is given.
//
// They are strict: a field that Kubernetes does not know is an error, where the API
// server would only drop it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// openAPI is the document of Kubernetes' built-in kinds, in k8s.io/kubernetes.
const openAPI = "api/openapi-spec/swagger.json"

// crds are the custom resources' definitions, by module.
var crds = map[string][]string{
	"sigs.k8s.io/gateway-api": {
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		"config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml",
		"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
	},
	"github.com/external-secrets/external-secrets": {
		"config/crds/bases/external-secrets.io_externalsecrets.yaml",
		"config/crds/bases/external-secrets.io_clustersecretstores.yaml",
	},
	"github.com/kyverno/kyverno": {"config/crds/policies.kyverno.io/policies.kyverno.io_imagevalidatingpolicies.yaml"},
	"github.com/argoproj/argo-cd/v3": {
		"manifests/crds/application-crd.yaml",
		"manifests/crds/applicationset-crd.yaml",
		"manifests/crds/appproject-crd.yaml",
	},
	"github.com/prometheus-operator/prometheus-operator": {
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemas DIRECTORY")
		os.Exit(2)
	}
	err := run(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(directory string) error {
	kubernetes, err := read("k8s.io/kubernetes", openAPI)
	if err != nil {
		return err
	}
	err = writeBuiltIn(directory, kubernetes)
	if err != nil {
		return err
	}
	for module, files := range crds {
		for _, file := range files {
			crd, err := read(module, file)
			if err != nil {
				return err
			}
			err = writeCustom(directory, crd)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// read returns a file of a module, at the version that go.mod has.
func read(module, file string) ([]byte, error) {
	download := exec.Command("go", "mod", "download", "-json", module)
	download.Stderr = os.Stderr
	out, err := download.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w\n%s", module, err, out)
	}
	var where struct{ Dir string }
	err = json.Unmarshal(out, &where)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(where.Dir, file))
}

type object = map[string]any

// writeBuiltIn writes the schemas of an OpenAPI document's kinds, each with the definitions
// that it uses.
func writeBuiltIn(directory string, document []byte) error {
	var d struct{ Definitions map[string]object }
	err := json.Unmarshal(document, &d)
	if err != nil {
		return err
	}
	for name, definition := range d.Definitions {
		d.Definitions[name] = strict(definition)
	}
	// Both may be a string or a number.
	d.Definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = object{"type": []string{"string", "integer"}}
	d.Definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = object{"type": []string{"string", "number"}}

	for name, definition := range d.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 { // no kind, or an options type that every group has
			continue
		}
		kind, _ := kinds[0].(object)
		needed := map[string]object{}
		collect(d.Definitions, name, needed)
		err := write(directory, text(kind["kind"]), text(kind["group"]), text(kind["version"]),
			object{"$ref": "#/definitions/" + name, "definitions": needed})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeCustom writes the schemas of a CustomResourceDefinition's versions.
func writeCustom(directory string, definition []byte) error {
	var d struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema object }
			}
		}
	}
	err := yaml.Unmarshal(definition, &d)
	if err != nil {
		return err
	}
	for _, v := range d.Spec.Versions {
		schema := v.Schema.OpenAPIV3Schema
		if properties, ok := schema["properties"].(object); ok {
			// The API server validates metadata itself.
			properties["metadata"] = object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
		}
		err := write(directory, d.Spec.Names.Kind, d.Spec.Group, v.Name, strict(schema))
		if err != nil {
			return err
		}
	}
	return nil
}

func write(directory, kind, group, version string, schema object) error {
	parts := []string{kind}
	if group != "" {
		// Like kubeconform, use only the first part of a group.
		first, _, _ := strings.Cut(group, ".")
		parts = append(parts, first)
	}
	name := strings.ToLower(strings.Join(append(parts, version), "-")) + ".json"
	b, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, name), b, 0o600)
}

// collect adds the definition called name, and the definitions that it refers to.
func collect(all map[string]object, name string, to map[string]object) {
	if _, seen := to[name]; seen {
		return
	}
	to[name] = all[name]
	walk(all[name], func(o object) {
		reference, ok := o["$ref"].(string)
		if ok {
			collect(all, strings.TrimPrefix(reference, "#/definitions/"), to)
		}
	})
}

// strict forbids unknown properties in every object with listed properties.
func strict(schema object) object {
	walk(schema, func(o object) {
		if o["x-kubernetes-int-or-string"] == true {
			delete(o, "type")
			delete(o, "anyOf")
			o["type"] = []string{"string", "integer"}
		}
		_, listed := o["properties"].(object)
		_, more := o["additionalProperties"]
		if listed && !more && o["type"] == "object" && o["x-kubernetes-preserve-unknown-fields"] != true {
			o["additionalProperties"] = false
		}
	})
	return schema
}

// walk calls f for value and every object in it.
func walk(value any, f func(object)) {
	switch v := value.(type) {
	case object:
		f(v)
		for _, inner := range v {
			walk(inner, f)
		}
	case []any:
		for _, inner := range v {
			walk(inner, f)
		}
	}
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
