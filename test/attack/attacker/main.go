// Attacker runs one attack in a process of its own, so that what the attacker costs
// isn't taken for what the service does. It reads a [Job] from standard input and
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
		return fmt.Errorf("there is no attack %q", job.Attack)
	}
	return json.NewEncoder(os.Stdout).Encode(attack.All[i].Run(context.Background(), job.Target, job.Span))
}
