package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Addresses and names of the cluster. Only this machine can reach the addresses.
const (
	hostAddress    = "10.231.0.1"
	nodeAddress    = "10.231.0.2"
	linkPrefix     = "/30"
	podRange       = "10.244.0.0/16"
	linkNetwork    = "10.231.0.0/30"
	serviceRange   = "10.96.0.0/16"
	apiService     = "10.96.0.1" // the first one of the range belongs to kubernetes.default
	dnsService     = "10.96.0.10"
	apiURL         = "https://" + nodeAddress + ":6443"
	hostLink       = "cluster0"
	nodeName       = "node"
	controlGroup   = "microservices"
	pauseReference = "localhost/pause:1"
)

// state is the path of the folder with all files of the cluster.
type state string

// here returns the state of this checkout's cluster.
func here() (state, error) {
	// Not the program's folder, which with go run is a temporary one.
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	_, err = os.Stat(filepath.Join(folder, ".ci", "tool"))
	if err != nil {
		return "", fmt.Errorf("run this command in the project's folder: %w", err)
	}
	return state(filepath.Join(folder, ".cache", "cluster")), nil
}

// path returns the path of a file or folder in the state.
func (s state) path(elements ...string) string {
	return filepath.Join(append([]string{string(s)}, elements...)...)
}

// project returns the folder of the checkout.
func (s state) project() string { return filepath.Dir(filepath.Dir(string(s))) }

func (s state) kubeconfig() string      { return s.path("kubeconfig") }
func (s state) log(name string) string  { return s.path("logs", name+".log") }
func (s state) cert(name string) string { return s.path("pki", name+".crt") }
func (s state) key(name string) string  { return s.path("pki", name+".key") }

// registryPort returns the registry's port on localhost.
func registryPort() string {
	port := os.Getenv("REGISTRY_PORT")
	if port == "" {
		return "5001"
	}
	return port
}

// writeFiles writes files, and creates their folders. files maps paths to contents.
func writeFiles(files map[string]string) error {
	for path, text := range files {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err != nil {
			return err
		}
		err = os.WriteFile(path, []byte(text), 0o600)
		if err != nil {
			return err
		}
	}
	return nil
}
