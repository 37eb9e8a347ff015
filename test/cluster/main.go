package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	commands := map[string]func() error{
		"up": up, "down": down, "status": status, "host": printHost,
		// The program's own parts.
		"daemon": daemon, "init": initialize, "node": node,
	}
	if len(arguments) != 1 || commands[arguments[0]] == nil {
		return errors.New("say up, down, status or host")
	}
	if runtime.GOOS != "linux" {
		return errors.New("this needs Linux; elsewhere use kind: k8s/kind up")
	}
	if os.Geteuid() != 0 {
		return errors.New("this needs root, for namespaces and control groups: sudo -E make cluster; kind needs Docker instead: k8s/kind up")
	}
	return commands[arguments[0]]()
}

func printHost() error {
	_, err := fmt.Println(hostAddress)
	return err
}
