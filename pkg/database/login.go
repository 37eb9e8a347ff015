package database

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Login has the credentials for PostgreSQL that DATABASE_URL doesn't contain. A service
// embeds it in its configuration.
type Login struct {
	User         string `envconfig:"DATABASE_USER" desc:"PostgreSQL user, if DATABASE_URL has none"`
	Password     string `envconfig:"DATABASE_PASSWORD" desc:"password of the user, if DATABASE_URL has none"`
	PasswordFile string `envconfig:"DATABASE_PASSWORD_FILE" desc:"file with the password, read for each connection, so that a rotation needs no restart"`
	TLS          string `envconfig:"DATABASE_TLS" default:"optional" oneof:"optional,required" desc:"whether connections to PostgreSQL must use TLS; required rejects a DATABASE_URL with an sslmode below require, except for a local host"`
}

// Check returns what is wrong with the address of DATABASE_URL together with the login,
// or nil. It connects to nothing. The error contains no value.
func (l Login) Check(address string) error {
	err := Check(address)
	if err != nil {
		return fmt.Errorf("DATABASE_URL %w", err)
	}
	if !isPostgres(address) {
		if l.User+l.Password+l.PasswordFile != "" {
			return errors.New("DATABASE_USER, DATABASE_PASSWORD and DATABASE_PASSWORD_FILE are for PostgreSQL, but DATABASE_URL is SQLite: remove them")
		}
		return nil
	}
	var problems []error
	user, password := hasLogin(address)
	if l.User != "" && user {
		problems = append(problems, errors.New("DATABASE_USER and the user in DATABASE_URL are both set: remove one of them"))
	}
	if l.Password != "" && l.PasswordFile != "" {
		problems = append(problems, errors.New("DATABASE_PASSWORD and DATABASE_PASSWORD_FILE are both set: remove one of them"))
	}
	if password && l.Password+l.PasswordFile != "" {
		problems = append(problems, errors.New("DATABASE_PASSWORD or DATABASE_PASSWORD_FILE and the password in DATABASE_URL are both set: remove one of them"))
	}
	if l.PasswordFile != "" {
		_, err := l.ReadPassword()
		problems = append(problems, err)
	}
	if l.TLS == "required" && inClearText(address) {
		problems = append(problems, errors.New("DATABASE_TLS is required, but DATABASE_URL allows clear text: add sslmode=verify-full (PGSSLROOTCERT names the certificates to verify with), or sslmode=require"))
	}
	return errors.Join(problems...)
}

// Warnings returns the risks of an address that Check accepts.
func (l Login) Warnings(address string) []string {
	if !isPostgres(address) || !inClearText(address) {
		return nil
	}
	return []string{"traffic to the database may leave this machine in clear text: add sslmode=verify-full to DATABASE_URL; DATABASE_TLS=required rejects anything less than sslmode=require"}
}

// ReadPassword returns the current password in PasswordFile, without the line break at
// its end.
func (l Login) ReadPassword() (string, error) {
	b, err := os.ReadFile(filepath.Clean(l.PasswordFile))
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return "", fmt.Errorf("DATABASE_PASSWORD_FILE can't be read: %w", pathError.Err)
	}
	if err != nil {
		return "", errors.New("DATABASE_PASSWORD_FILE can't be read")
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", errors.New("DATABASE_PASSWORD_FILE names an empty file")
	}
	return password, nil
}

func isPostgres(address string) bool {
	kind, err := KindOf(address)
	return err == nil && kind == Postgres
}

// hasLogin reports whether an address that Check accepts has a user, and a password.
func hasLogin(address string) (user, password bool) {
	_, rest, _ := strings.Cut(address, "://")
	rest, query, _ := strings.Cut(rest, "?")
	if before, _, found := strings.Cut(rest, "@"); found {
		name, _, hasPassword := strings.Cut(before, ":")
		user, password = name != "", hasPassword
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		user = user || name == "user"
		password = password || name == "password"
	}
	return user, password
}

// inClearText reports whether a connection to any of the hosts may leave this machine
// without TLS.
func inClearText(address string) bool {
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return false // Check rejects it
	}
	exposed := c.ConnConfig.TLSConfig == nil && !isLocal(c.ConnConfig.Host)
	for _, other := range c.ConnConfig.Fallbacks {
		exposed = exposed || other.TLSConfig == nil && !isLocal(other.Host)
	}
	return exposed
}

// isLocal reports whether a host is this machine: a socket, localhost or a loopback
// address.
func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || err == nil && ip.Unmap().IsLoopback()
}
