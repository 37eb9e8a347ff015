// Baseline is what user-service is measured against: Gin with one route and
// nothing else, which answers every GET of a user with the same bytes.
//
//	BODY={...} baseline 127.0.0.1:8000
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: BODY=bytes %s host:port", os.Args[0])
	}
	body := []byte(os.Getenv("BODY"))
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/health/ready", func(g *gin.Context) { g.Status(http.StatusOK) })
	engine.GET("/api/v1/users/:user_id", func(g *gin.Context) {
		if g.Param("user_id") == "" {
			g.Status(http.StatusNotFound)
			return
		}
		g.Data(http.StatusOK, "application/json", body)
	})
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		return err
	}
	return http.Serve(listener, engine)
}
