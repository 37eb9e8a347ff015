package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/database/transfer"
)

// Data is what a service keeps, and where.
type Data struct {
	transfer.Store
	// Address is DATABASE_URL, and Login what goes with it.
	Address string
	Login   database.Login
}

// operands are what the subcommands take, in their order; those in brackets may be
// left out. The others take none.
var operands = map[string][]string{
	"backup":  {"FILE-OR-FOLDER", "[KEEP]"},
	"restore": {"FILE-OR-FOLDER"},
	"copy":    {"SQLITE-FILE"},
}

// takes says whether a subcommand takes so many operands.
func takes(command string, n int) bool {
	known := operands[command]
	optional := strings.Count(strings.Join(known, " "), "[")
	return n <= len(known) && n >= len(known)-optional
}

// file is the path of the service's SQLite file.
func (d Data) file(command string) (string, error) {
	kind, err := database.KindOf(d.Address)
	if err == nil && kind != database.SQLite {
		err = errors.New("is PostgreSQL's: " + command + " is for SQLite, and PostgreSQL has pg_dump and its host's snapshots")
	}
	if err != nil {
		return "", &exitError{ExitUsage, fmt.Errorf("DATABASE_URL %w", err)}
	}
	return database.SQLitePath(d.Address), nil
}

func (p Program) backup(ctx context.Context, stdout io.Writer, args []string) error {
	rt, err := p.configure(stdout)
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
	data := p.Data()
	source, err := data.file("backup")
	if err != nil {
		return err
	}
	_, err = data.Backup(ctx, source, args[0], keep, rt.Log)
	return err
}

func (p Program) restore(ctx context.Context, stdout io.Writer, args []string) error {
	rt, err := p.configure(stdout)
	if err != nil {
		return err
	}
	data := p.Data()
	target, err := data.file("restore")
	if err != nil {
		return err
	}
	return data.Restore(ctx, args[0], target, rt.Log)
}

// copyData copies a SQLite file into the database that DATABASE_URL names.
func (p Program) copyData(ctx context.Context, stdout io.Writer, args []string) error {
	rt, err := p.configure(stdout)
	if err != nil {
		return err
	}
	data := p.Data()
	kind, err := database.KindOf(data.Address)
	if err != nil || kind != database.Postgres {
		return &exitError{ExitUsage, errors.New("DATABASE_URL must be postgres://…: it is where the rows are copied to")}
	}
	p.introduce(ctx, rt.Log, "copying")
	var target *postgres.DB
	err = retryOpen(ctx, p.Config.Common().StartTimeout, rt.Log, func() error {
		var err error
		target, err = postgres.Open(ctx, data.Address, data.Schema(), data.Login)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(data.Copy(ctx, database.SQLitePath(args[0]), target, rt.Log), target.Close())
}
