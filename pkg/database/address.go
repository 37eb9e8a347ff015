package database

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/config"
)

// Check returns what is wrong with an address, or nil. It connects to nothing. The error
// contains no part of the address: a password that isn't percent-encoded may be anywhere
// in it. Its text continues after the name of the variable.
func Check(address string) error {
	kind, err := KindOf(address)
	switch {
	case err != nil:
		return err
	case kind == SQLite:
		return checkSQLite(SQLitePath(address))
	}
	return checkPostgres(address)
}

// Place returns the address without user, password and parameters, such as
// postgres://db:5432/shop. It returns "" if Check rejects the address.
func Place(address string) string {
	if Check(address) != nil {
		return ""
	}
	if strings.HasPrefix(address, "sqlite:") {
		return "sqlite://" + SQLitePath(address)
	}
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return ""
	}
	var hosts []string
	add := func(host string, port uint16) { hosts = append(hosts, fmt.Sprintf("%s:%d", host, port)) }
	add(c.ConnConfig.Host, c.ConnConfig.Port)
	for _, other := range c.ConnConfig.Fallbacks {
		add(other.Host, other.Port)
	}
	// With sslmode=prefer each host is listed twice.
	return "postgres://" + strings.Join(slices.Compact(hosts), ",") + "/" + c.ConnConfig.Database
}

// sqliteParameters are well-known parameters, which an error may name. Others may be part
// of a path.
var sqliteParameters = []string{"mode", "cache", "immutable", "vfs", "_pragma", "_journal_mode", "_busy_timeout", "_foreign_keys", "_txlock"}

func checkSQLite(path string) error {
	path, query, hasQuery := strings.Cut(path, "?")
	switch {
	case strings.HasPrefix(path, "file:"):
		return errors.New("has a file: URI after sqlite://; write the path alone, such as sqlite:///data/users.db")
	case strings.Contains(path, ":memory:"), strings.Contains(query, "mode=memory"):
		return errors.New("names a database in memory, which is not supported: it would be lost with the process")
	case hasQuery:
		name, _, _ := strings.Cut(query, "=")
		if !slices.Contains(sqliteParameters, name) {
			name = "what follows the ?"
		}
		return fmt.Errorf("has a parameter, but the service sets the parameters of SQLite: remove %s", name)
	case strings.HasSuffix(path, "/"):
		return errors.New("names a folder; name a file in it, such as sqlite:///data/users.db")
	}
	return nil
}

const duration = "a duration such as 30s or 1h"

// parameters are the allowed parameters of a PostgreSQL address, with what each must be.
// Other session settings go into options. The server checks those without a text.
var parameters = map[string]string{
	"sslmode":                "disable, allow, prefer, require, verify-ca or verify-full",
	"sslrootcert":            "a file with the certificates (PEM) to verify the server with, or system",
	"sslcert":                "a file with a certificate (PEM), together with sslkey",
	"sslkey":                 "a file with the key (PEM) of sslcert",
	"sslpassword":            "the password of sslkey",
	"sslcertmode":            "disable, allow or require",
	"sslnegotiation":         "postgres or direct",
	"sslsni":                 "0 or 1",
	"channel_binding":        "disable, prefer or require",
	"require_auth":           "a list of ways to authenticate, such as scram-sha-256",
	"target_session_attrs":   "any, read-write, read-only, primary, standby or prefer-standby",
	"connect_timeout":        "a whole number of seconds",
	"min_protocol_version":   "3.0, 3.2 or latest",
	"max_protocol_version":   "3.0, 3.2 or latest",
	"host":                   "a host, or the folder of a socket",
	"port":                   "a number from 1 to 65535, or one for each host",
	"dbname":                 "the database's name",
	"user":                   "the user's name",
	"password":               "the password",
	"passfile":               "a file with passwords",
	"service":                "a service in servicefile",
	"servicefile":            "a file with services",
	"krbspn":                 "a Kerberos name",
	"krbsrvname":             "a Kerberos name",
	"pool_max_conns":         "a whole number of at least 1",
	"pool_min_conns":         "a whole number",
	"pool_min_idle_conns":    "a whole number",
	"pool_max_conn_lifetime": duration, "pool_max_conn_idle_time": duration, "pool_health_check_period": duration,
	"pool_max_conn_lifetime_jitter": duration, "pool_ping_timeout": duration,
	"default_query_exec_mode":    "cache_statement, cache_describe, describe_exec, exec or simple_protocol",
	"statement_cache_capacity":   "a whole number",
	"description_cache_capacity": "a whole number",
	"options":                    "such as -c statement_timeout=5s, percent-encoded",
	"application_name":           "", "client_encoding": "", "search_path": "", "timezone": "", "role": "",
	"statement_timeout": "", "lock_timeout": "", "idle_in_transaction_session_timeout": "", "idle_session_timeout": "",
	"default_transaction_read_only": "", "synchronous_commit": "", "work_mem": "", "jit": "",
	"plan_cache_mode": "", "tcp_user_timeout": "", "tcp_keepalives_idle": "", "tcp_keepalives_interval": "", "tcp_keepalives_count": "",
}

func checkPostgres(address string) error {
	err := config.CheckURL(address, "postgres")
	if err != nil {
		return err
	}
	base, query, _ := strings.Cut(address, "?")
	seen := map[string]bool{}
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool { return pair == "" })
	for i, pair := range pairs {
		name, _, hasValue := strings.Cut(pair, "=")
		_, known := parameters[name]
		switch {
		case !hasValue:
			return fmt.Errorf("has no value for parameter %d after the ?; encode & in a value as %%26", i+1)
		case !known:
			return fmt.Errorf("has an unknown parameter, number %d after the ?; the closest known one is %s; put other settings into options; encode & in a value as %%26", i+1, closest(name))
		case seen[name]:
			return fmt.Errorf("has the parameter %s twice", name)
		}
		seen[name] = true
	}
	_, err = pgxpool.ParseConfig(address)
	if err == nil {
		return nil
	}
	return blame(base, pairs)
}

// blame finds the invalid parameter: without it, the address can be parsed. The library's
// own error contains values.
func blame(base string, pairs []string) error {
	_, err := pgxpool.ParseConfig(base)
	if err != nil {
		return errors.New("can't be parsed, or an environment variable PG…, such as PGSSLMODE, has an invalid value")
	}
	for i, pair := range pairs {
		others := slices.Delete(slices.Clone(pairs), i, i+1)
		_, err := pgxpool.ParseConfig(base + "?" + strings.Join(others, "&"))
		if err != nil {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if cause := unreadable(name, value); cause != nil {
			return fmt.Errorf("has a parameter %s with a file that can't be used: %w", name, cause)
		}
		return fmt.Errorf("has a parameter %s that must be %s", name, parameters[name])
	}
	return errors.New("has several invalid parameters, or one without the other (sslcert and sslkey)")
}

// unreadable returns why the file named by a parameter can't be used.
func unreadable(name, value string) error {
	if !slices.Contains([]string{"sslrootcert", "sslcert", "sslkey", "servicefile"}, name) {
		return nil
	}
	path, err := url.QueryUnescape(value)
	if err != nil {
		return errors.New("its path has invalid percent-encoding")
	}
	_, err = os.ReadFile(path)
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return errors.New("its content is invalid")
}

// closest returns the allowed parameter most similar to name.
func closest(name string) string {
	return slices.MinFunc(slices.Sorted(maps.Keys(parameters)), func(a, b string) int {
		return cmp.Compare(config.Distance(name, a), config.Distance(name, b))
	})
}
