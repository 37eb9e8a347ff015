// Command dashboards writes the Grafana dashboards of the services into the
// chart: go run ./cmd/dashboards FOLDER. make generate calls it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// write writes each dashboard into a file that is called after its uid's end.
func write(folder string) error {
	for name, d := range map[string]dashboard{
		"overview":      overview(),
		"user-service":  userService(),
		"order-service": orderService(),
	} {
		var content bytes.Buffer
		encoder := json.NewEncoder(&content)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // < and > are PromQL's
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
