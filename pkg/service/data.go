package service

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/postgres"
)

// operands are the operands of the subcommands, in order. Those in brackets are optional.
// Other subcommands take none.
var operands = map[string][]string{
	"backup":  {"FILE-OR-FOLDER", "[KEEP]"},
	"restore": {"FILE-OR-FOLDER"},
	"copy":    {"SQLITE-FILE"},
}

// takes reports whether a subcommand accepts n operands.
func takes(command string, n int) bool {
	known := operands[command]
	optional := strings.Count(strings.Join(known, " "), "[")
	return n <= len(known) && n >= len(known)-optional
}

// file returns the path of the SQLite file, or an ExitUsage error on PostgreSQL.
func (c *Config) file(command string) (string, error) {
	if c.OnPostgres() {
		return "", &exitError{ExitUsage, errors.New("DATABASE_URL is a PostgreSQL database: " + command + " is for SQLite; use pg_dump or the snapshots of the database's host")}
	}
	return c.SQLitePath(), nil
}

func (p Program) backup(ctx context.Context, stdout io.Writer, args []string) error {
	log, _, err := p.configure(stdout)
	if err != nil {
		return err
	}
	keep := 0
	if len(args) > 1 {
		keep, err = strconv.Atoi(args[1])
		if err != nil || keep < 1 {
			return &exitError{ExitUsage, errors.New("KEEP must be a number of backups, at least 1")}
		}
	}
	source, err := p.Config.Common().file("backup")
	if err != nil {
		return err
	}
	_, err = p.Data.Backup(ctx, source, args[0], keep, log)
	return err
}

func (p Program) restore(ctx context.Context, stdout io.Writer, args []string) error {
	log, _, err := p.configure(stdout)
	if err != nil {
		return err
	}
	target, err := p.Config.Common().file("restore")
	if err != nil {
		return err
	}
	return p.Data.Restore(ctx, args[0], target, log)
}

// copyData copies a SQLite file into the PostgreSQL database of DATABASE_URL.
func (p Program) copyData(ctx context.Context, stdout io.Writer, args []string) error {
	log, _, err := p.configure(stdout)
	if err != nil {
		return err
	}
	c := p.Config.Common()
	if !c.OnPostgres() {
		return &exitError{ExitUsage, errors.New("DATABASE_URL must be postgres://…, the target of the copy")}
	}
	p.introduce(ctx, log, "copying")
	var target *postgres.DB
	err = retryOpen(ctx, c.StartTimeout, log, func() error {
		var err error
		target, err = postgres.Open(ctx, c.DatabaseURL, c.Login, p.Data.Postgres)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(p.Data.Copy(ctx, database.SQLitePath(args[0]), target, log), target.Close())
}
