// Peer is the program that the services are compared with: Gin as most programs use it, without
// the services' features.
//
//	BODY='{…}' peer 127.0.0.1:8000
//
// It answers each GET of a user or an order with BODY, and of the list of users with the
// users of LIST, which it renders each time. With DATABASE_URL it reads users from
// user-service's table in PostgreSQL and adds users to it. FEATURES is any of "limits"
// (timeouts), "log" (a line for each request) and "metrics"; HEADERS is a JSON object of
// headers to send.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// user is a user on the wire, as user-service writes it.
type user struct {
	ID        uuid.UUID `json:"id"`
	Name      string    `json:"name" binding:"required,max=100"`
	Email     string    `json:"email" binding:"required,email,max=254"`
	Age       *int      `json:"age" binding:"omitempty,min=0,max=150"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// list is a list on the wire.
type list struct {
	Items []user  `json:"items"`
	Next  *string `json:"next_cursor"`
}

func main() {
	err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: BODY=bytes %s host:port", os.Args[0])
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	server := &http.Server{Handler: engine}
	features := os.Getenv("FEATURES")
	if strings.Contains(features, "metrics") {
		engine.Use(measure())
		engine.GET("/metrics", gin.WrapH(promhttp.Handler()))
	}
	if strings.Contains(features, "log") {
		engine.Use(logRequest)
	}
	if strings.Contains(features, "limits") {
		server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout = 5*time.Second, 20*time.Second, 20*time.Second, time.Minute
		engine.Use(limit)
	}
	if headers := os.Getenv("HEADERS"); headers != "" {
		var sent map[string]string
		err := json.Unmarshal([]byte(headers), &sent)
		if err != nil {
			return err
		}
		engine.Use(func(g *gin.Context) {
			for name, value := range sent {
				g.Header(name, value)
			}
		})
	}
	engine.GET("/health/ready", func(g *gin.Context) { g.Status(http.StatusOK) })
	err := serve(ctx, engine)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		return err
	}
	return server.Serve(listener)
}

// serve adds the routes.
func serve(ctx context.Context, engine *gin.Engine) error {
	if address := os.Getenv("DATABASE_URL"); address != "" {
		config, err := pgxpool.ParseConfig(address)
		if err != nil {
			return err
		}
		config.MaxConns = 16 // like the services
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return err
		}
		engine.GET("/api/v1/users/:user_id", func(g *gin.Context) { get(g, pool) })
		engine.POST("/api/v1/users", func(g *gin.Context) { create(g, pool) })
		return nil
	}
	body := []byte(os.Getenv("BODY"))
	for _, route := range []string{"/api/v1/users/:id", "/api/v1/orders/:id"} {
		engine.GET(route, func(g *gin.Context) {
			if g.Param("id") == "" {
				g.Status(http.StatusNotFound)
				return
			}
			g.Data(http.StatusOK, "application/json", body)
		})
	}
	var users list
	if rows := os.Getenv("LIST"); rows != "" {
		err := json.Unmarshal([]byte(rows), &users)
		if err != nil {
			return err
		}
	}
	engine.GET("/api/v1/users", func(g *gin.Context) { g.JSON(http.StatusOK, users) })
	return nil
}

func get(g *gin.Context, pool *pgxpool.Pool) {
	id, err := uuid.Parse(g.Param("user_id"))
	if err != nil {
		g.Status(http.StatusUnprocessableEntity)
		return
	}
	u := user{ID: id}
	err = pool.QueryRow(g.Request.Context(), "SELECT name, email, age, created_at, updated_at FROM user_service.users WHERE id = $1", id).
		Scan(&u.Name, &u.Email, &u.Age, &u.CreatedAt, &u.UpdatedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		g.Status(http.StatusNotFound)
	case err != nil:
		g.Status(http.StatusInternalServerError)
	default:
		g.JSON(http.StatusOK, u)
	}
}

func create(g *gin.Context, pool *pgxpool.Pool) {
	var u user
	err := g.ShouldBindJSON(&u)
	if err != nil {
		g.Status(http.StatusUnprocessableEntity)
		return
	}
	u.ID = uuid.Must(uuid.NewV7())
	u.CreatedAt = time.Now().UTC()
	u.UpdatedAt = u.CreatedAt
	_, err = pool.Exec(g.Request.Context(), "INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7)",
		u.ID, u.Name, u.Email, strings.ToLower(u.Email), u.Age, u.CreatedAt, u.UpdatedAt)
	if err != nil {
		g.Status(http.StatusInternalServerError)
		return
	}
	g.JSON(http.StatusCreated, u)
}

// limit limits a request to ten seconds.
func limit(g *gin.Context) {
	ctx, cancel := context.WithTimeout(g.Request.Context(), 10*time.Second)
	defer cancel()
	g.Request = g.Request.WithContext(ctx)
	g.Next()
}

var logger = slog.New(slog.NewJSONHandler(os.Stdout, nil))

// logRequest gives a request an id, and writes a line when it is done.
func logRequest(g *gin.Context) {
	began, id := time.Now(), uuid.NewString()
	g.Header("X-Request-Id", id)
	g.Next()
	logger.LogAttrs(g.Request.Context(), slog.LevelInfo, "request",
		slog.String("method", g.Request.Method), slog.String("route", g.FullPath()), slog.Int("status", g.Writer.Status()),
		slog.Int64("duration_us", time.Since(began).Microseconds()), slog.Int("bytes", g.Writer.Size()), slog.String("request_id", id))
}

// measure counts and times requests.
func measure() gin.HandlerFunc {
	duration := promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time to answer a request."}, []string{"method", "route", "status"})
	return func(g *gin.Context) {
		began := time.Now()
		g.Next()
		duration.WithLabelValues(g.Request.Method, g.FullPath(), strconv.Itoa(g.Writer.Status())).Observe(time.Since(began).Seconds())
	}
}
