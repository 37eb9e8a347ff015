// Command argocd is Argo CD's core in one program: the controllers that synchronise a cluster
// with a git repository, without the server and its user interface. The first argument, or the
// name of the program file, selects one:
//
//	argocd argocd-repo-server --port 8081
//
// It also has one command of this project: permitted.go.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	application "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	notifications "github.com/argoproj/argo-cd/v3/cmd/argocd-notification/commands"
	repository "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

// programs are functions because only one program may be created per process: each registers
// global flags and metrics.
var programs = map[string]func() *cobra.Command{
	"argocd-application-controller":    application.NewCommand,
	"argocd-applicationset-controller": applicationset.NewCommand,
	"argocd-notifications-controller":  notifications.NewCommand,
	"argocd-repo-server":               repository.NewCommand,
	"permitted":                        newPermitted,
}

func main() {
	arguments := os.Args
	if programs[filepath.Base(arguments[0])] == nil {
		arguments = arguments[1:]
	}
	if len(arguments) == 0 || programs[filepath.Base(arguments[0])] == nil {
		names := make([]string, 0, len(programs))
		for name := range programs {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintln(os.Stderr, "usage: argocd", strings.Join(names, "|"), "[argument…]")
		os.Exit(2)
	}
	command := programs[filepath.Base(arguments[0])]()
	command.SetArgs(arguments[1:])
	err := command.Execute()
	if err != nil {
		os.Exit(1)
	}
}
