package config_test

import (
	"fmt"
	"os"
	"time"

	"github.com/example/microservices/pkg/config"
)

func Example() {
	var c struct {
		Wait time.Duration `envconfig:"EXAMPLE_WAIT" default:"2s" min:"1ms" desc:"how long to wait"`
	}
	fmt.Println(config.Load(&c), c.Wait)
	_ = os.Setenv("EXAMPLE_WAIT", "soon")
	fmt.Println(config.Load(&c))
	// Output:
	// <nil> 2s
	// EXAMPLE_WAIT must be a duration with its unit, such as 500ms, 10s or 1h
}
