// Attacker runs one attack in its own process, so that its CPU time and memory don't count
// as the service's or the bystander's. It reads an [attack.Job] from standard input, and
// writes an [attack.Result] to standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/example/microservices/test/attack"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacker:", err)
		os.Exit(1)
	}
}

func run() error {
	var job attack.Job
	err := json.NewDecoder(os.Stdin).Decode(&job)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(attack.All, func(a attack.Attack) bool { return a.Name == job.Attack })
	if i < 0 {
		return fmt.Errorf("unknown attack %q", job.Attack)
	}
	return json.NewEncoder(os.Stdout).Encode(attack.All[i].Run(context.Background(), job.Target, job.Span))
}
