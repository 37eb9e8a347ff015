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
		// Internal subcommands.
		"daemon": daemon, "init": initialize, "node": node,
	}
	if len(arguments) != 1 || commands[arguments[0]] == nil {
		return errors.New("the command must be up, down, status or host")
	}
	if runtime.GOOS != "linux" {
		return errors.New("this needs Linux; elsewhere use kind: k8s/kind up")
	}
	s, err := here()
	if err != nil {
		return err
	}
	// Under sudo, the calling process has already prepared.
	if arguments[0] == "up" && os.Getenv("SUDO_UID") == "" {
		err = prepare(s)
		if err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 && arguments[0] != "host" {
		return elevate(arguments[0])
	}
	return commands[arguments[0]]()
}

func printHost() error {
	_, err := fmt.Println(hostAddress)
	return err
}
