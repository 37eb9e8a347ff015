#!/bin/sh
# Creates the database at the first start, like the official image: connections over the
# network need a password.
set -eu

if [ "$1" = postgres ]; then
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA" # fsGroup may have opened it to the group, which the server rejects
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -z "${POSTGRES_PASSWORD:-}" ]; then
		echo "Error: Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD" >&2
		exit 1
	fi
	password=$(mktemp)
	printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
	initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$password" --auth-local=trust --auth-host=trust
	rm "$password"
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
	if [ "$database" != postgres ]; then
		echo "CREATE DATABASE \"$database\"" | postgres --single -D "$PGDATA" postgres >/dev/null
	fi
	# Listen only on the socket until the database is complete.
	pg_ctl --silent --wait --options="-c listen_addresses= -c unix_socket_directories=/var/run/postgresql" start
	for script in /docker-entrypoint-initdb.d/*.sql; do
		[ -e "$script" ] || continue
		psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --host=/var/run/postgresql --username="${POSTGRES_USER:-postgres}" --dbname="$database" --file="$script"
	done
	pg_ctl --silent --wait --mode=fast stop
fi
[ "$1" = postgres ] && set -- "$@" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
exec "$@"
