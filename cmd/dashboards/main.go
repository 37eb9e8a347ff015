// Command dashboards writes the services' Grafana dashboards into a folder:
// go run ./cmd/dashboards FOLDER. make generate runs it for the chart.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/example/microservices/internal/catalog"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER")
		os.Exit(2)
	}
	err := write(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

// write writes each dashboard to a file named after the end of its uid.
func write(folder string) error {
	services, err := catalog.Read(".")
	if err != nil {
		return err
	}
	all := map[string]dashboard{"overview": overview(catalog.Names(services))}
	for _, s := range services {
		all[s.Name] = ofService(s)
	}
	for name, d := range all {
		var content bytes.Buffer
		encoder := json.NewEncoder(&content)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // keep PromQL's < and > readable
		err := encoder.Encode(d.model())
		if err != nil {
			return err
		}
		err = os.WriteFile(filepath.Join(folder, name+".json"), content.Bytes(), 0o644)
		if err != nil {
			return err
		}
	}
	return nil
}
