// Command fakegrafana takes Grafana's place where its image can't be had. It draws
// nothing: it reads the files that provision Grafana where that would, and says
// what comes of them.
//
//	GET /dashboards          the titles of the dashboards, a JSON list
//	GET /datasources/NAME    200 if something answers at NAME's address, else 502
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

const provisioning = "/etc/grafana/provisioning"

func main() {
	err := run()
	fmt.Fprintln(os.Stderr, "fakegrafana:", err)
	os.Exit(1)
}

func run() error {
	var sources struct {
		Datasources []struct{ Name, URL string }
	}
	err := read(provisioning+"/datasources", &sources)
	if err != nil {
		return err
	}
	var dashboards struct {
		Providers []struct {
			Options struct{ Path string }
		}
	}
	err = read(provisioning+"/dashboards", &dashboards)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	client := &http.Client{Timeout: 10 * time.Second}
	for _, s := range sources.Datasources {
		mux.HandleFunc("GET /datasources/"+s.Name, func(w http.ResponseWriter, r *http.Request) {
			request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			response, err := client.Do(request)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			_ = response.Body.Close()
		})
	}
	mux.HandleFunc("GET /dashboards", func(w http.ResponseWriter, _ *http.Request) {
		var titles []string
		for _, p := range dashboards.Providers {
			files, err := filepath.Glob(p.Options.Path + "/*.json")
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			for _, file := range files {
				var dashboard struct{ Title string }
				err := readFile(file, &dashboard)
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				titles = append(titles, dashboard.Title)
			}
		}
		_ = json.NewEncoder(w).Encode(titles)
	})
	server := &http.Server{Addr: ":3000", Handler: mux, ReadHeaderTimeout: time.Second}
	return server.ListenAndServe()
}

// read decodes the one file of a folder.
func read(folder string, into any) error {
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return errors.New(folder + " must have exactly one file")
	}
	return readFile(files[0], into)
}

func readFile(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(content, into) // JSON is YAML
}
