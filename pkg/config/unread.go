package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Unread is a variable that is set, but that nothing reads.
type Unread struct {
	// Name is the variable, and Like the known variable that it resembles; empty for a
	// standard variable that isn't supported.
	Name, Like string
}

// unsupported are OpenTelemetry's variables for an exporter that the services have, but
// without these options.
var unsupported = regexp.MustCompile(`^OTEL_EXPORTER_OTLP_(TRACES_)?(TIMEOUT|CERTIFICATE|CLIENT_KEY|CLIENT_CERTIFICATE|COMPRESSION|INSECURE)$`)

// notOurs are similar variables that others set or read: a cluster's, for each Service,
// and OpenTelemetry's, for logs.
var notOurs = regexp.MustCompile(`^(KUBERNETES|OTEL_BLRP)_|_SERVICE_(HOST|PORT)$|_PORT_[0-9]+_(TCP|UDP)`)

// A name of at least shortName letters may differ in two letters, a shorter one in one. A
// name of less than tinyName letters, such as HOST, is too similar to others.
const (
	shortName = 8
	tinyName  = 5
)

// FindUnread returns the variables of the environment that differ by a letter or two,
// a plural or a word from one that Load reads into dst, that name a file for one that is
// read from no file, and unsupported ones.
func FindUnread(dst any) []Unread {
	var known []string
	eachField(reflect.ValueOf(dst).Elem(), func(field reflect.StructField, _ reflect.Value) { known = append(known, name(field)) })
	var found []Unread
	for _, entry := range os.Environ() {
		variable, _, _ := strings.Cut(entry, "=")
		if slices.Contains(known, variable) || notOurs.MatchString(variable) {
			continue
		}
		if unsupported.MatchString(variable) {
			found = append(found, Unread{Name: variable})
			continue
		}
		i := slices.IndexFunc(known, func(k string) bool { return resembles(variable, k) })
		if i >= 0 {
			found = append(found, Unread{variable, known[i]})
		}
	}
	return found
}

func resembles(variable, known string) bool {
	allowed := 2
	switch {
	case len(known) < tinyName:
		return false
	case len(known) < shortName:
		allowed = 1
	}
	variable = strings.ToUpper(variable)
	return Distance(singular(variable), singular(known)) <= allowed || hasOneWordMore(variable, known) || variable == known+"_FILE"
}

func singular(name string) string {
	if stem, ok := strings.CutSuffix(name, "IES"); ok {
		return stem + "Y"
	}
	return strings.TrimSuffix(name, "S")
}

// hasOneWordMore reports whether a name is the known one with another word inside, such as
// CORS_ALLOWED_ORIGINS.
func hasOneWordMore(name, known string) bool {
	words := strings.Split(name, "_")
	for i := 1; i < len(words)-1; i++ {
		if strings.Join(slices.Delete(slices.Clone(words), i, i+1), "_") == known {
			return true
		}
	}
	return false
}

// Distance returns the number of letters to insert, delete, replace, or swap with the
// next one to turn a into b (restricted Damerau-Levenshtein distance).
func Distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
