package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/config"
)

type group struct {
	Port int           `envconfig:"TEST_PORT" default:"8000" min:"0" max:"65535" desc:"port to listen on"`
	Wait time.Duration `envconfig:"TEST_WAIT" default:"5s" min:"0s" max:"1m" desc:"how long to wait"`
}

type settings struct {
	group
	Place  string  `envconfig:"TEST_PLACE" default:"here" empty:"refused" desc:"where it is"`
	Secret string  `envconfig:"TEST_SECRET" required:"true" desc:"the database's address"`
	Format string  `envconfig:"TEST_FORMAT" default:"json" oneof:"json,text" desc:"form of a log line"`
	Debug  bool    `envconfig:"TEST_DEBUG" default:"false" desc:"say more"`
	Ratio  float64 `envconfig:"TEST_RATIO" default:"0.5" min:"0" max:"1" desc:"share that is kept"`
	Own    int
}

func (s *settings) Validate() error {
	if s.Debug && s.Format == "json" {
		return errors.New("TEST_DEBUG needs TEST_FORMAT=text")
	}
	return nil
}

func load(t *testing.T, env map[string]string) (settings, error) {
	t.Helper()
	for k, v := range env {
		t.Setenv(k, v)
	}
	var s settings
	err := config.Load(&s)
	return s, err
}

func TestLoad(t *testing.T) {
	got, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_WAIT": "1500ms", "TEST_FORMAT": "text", "TEST_DEBUG": "true", "TEST_RATIO": "1"})
	require.NoError(t, err)
	require.Equal(t, settings{group{8000, 1500 * time.Millisecond}, "here", "x", "text", true, 1, 0}, got)
}

func TestAnEmptyRequiredVariableIsNotSet(t *testing.T) {
	got, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_PORT": "", "TEST_WAIT": " "})
	require.NoError(t, err)
	require.Equal(t, group{8000, 5 * time.Second}, got.group)

	_, err = load(t, map[string]string{"TEST_SECRET": ""})
	require.EqualError(t, err, "TEST_SECRET must be set: the database's address")
}

// TestAnEmptyVariableIsNotReplacedByItsDefault: an empty variable may be a missing Secret.
func TestAnEmptyVariableIsNotReplacedByItsDefault(t *testing.T) {
	for _, nothing := range []string{"", " ", "\n"} {
		_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_PLACE": nothing})
		require.EqualError(t, err, "TEST_PLACE is empty; unset it for its default, here")
	}
}

// pair is a setting that reads itself.
type pair string

// UnmarshalText implements encoding.TextUnmarshaler.
func (*pair) UnmarshalText([]byte) error { return errors.New("must be two words") }

// share is a setting that strconv reads, whose errors quote the value.
type share float64

// TestATypeOfThisModuleSaysWhatIsWrong: the type knows better than the description. The default
// in a field is the default.
func TestATypeOfThisModuleSaysWhatIsWrong(t *testing.T) {
	s := struct {
		Pair    pair      `envconfig:"TEST_PAIR" desc:"a pair"`
		Foreign time.Time `envconfig:"TEST_TIME" desc:"a time"`
		Share   share     `envconfig:"TEST_SHARE" desc:"a share"`
		Place   string    `envconfig:"TEST_PLACE" empty:"refused" desc:"where it is"`
	}{Place: "there"}
	t.Setenv("TEST_PAIR", "secret")
	t.Setenv("TEST_TIME", "secret")
	t.Setenv("TEST_SHARE", "secret")
	t.Setenv("TEST_PLACE", "")
	require.EqualError(t, config.Load(&s), "TEST_PAIR must be two words\nTEST_TIME must be a time\nTEST_SHARE must be a number\nTEST_PLACE is empty; unset it for its default, there")
}

func TestWhiteSpaceAroundAValueIsRemoved(t *testing.T) {
	got, err := load(t, map[string]string{"TEST_SECRET": "x\n", "TEST_PORT": " 80\t", "TEST_WAIT": "2s\r\n", "TEST_FORMAT": " text"})
	require.NoError(t, err)
	require.Equal(t, settings{group{80, 2 * time.Second}, "here", "x", "text", false, 0.5, 0}, got)
}

func TestAmbiguousNumbersAreRejected(t *testing.T) {
	for _, number := range []string{"8_000", "8 000", "8,000", "010", "0x10", "1e3", "+80", "80.0"} {
		_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_PORT": number})
		require.EqualError(t, err, "TEST_PORT must be a whole number in decimal digits", number)
	}
	for _, wait := range []string{"5", "5 s", "5sec", "1_000ms"} {
		_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_PORT": "80", "TEST_WAIT": wait})
		require.EqualError(t, err, "TEST_WAIT must be a duration with its unit, such as 500ms, 10s or 1h", wait)
	}
	for _, yes := range []string{"yes", "on", "y", "enabled"} {
		_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_WAIT": "5s", "TEST_DEBUG": yes})
		require.EqualError(t, err, "TEST_DEBUG must be true or false", yes)
	}
}

func TestEveryProblemIsNamedAndNoValueShown(t *testing.T) {
	const canary = "s3cr3t"
	_, err := load(t, map[string]string{"TEST_PORT": canary, "TEST_WAIT": canary, "TEST_FORMAT": canary, "TEST_DEBUG": canary, "TEST_RATIO": canary})
	require.Error(t, err)
	require.Equal(t, strings.Join([]string{
		"TEST_PORT must be a whole number in decimal digits",
		"TEST_WAIT must be a duration with its unit, such as 500ms, 10s or 1h",
		"TEST_SECRET must be set: the database's address",
		"TEST_FORMAT must be one of json, text",
		"TEST_DEBUG must be true or false",
		"TEST_RATIO must be a number",
	}, "\n"), err.Error())
	require.NotContains(t, err.Error(), canary)
}

func TestRanges(t *testing.T) {
	_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_PORT": "65536", "TEST_WAIT": "-1s", "TEST_RATIO": "1.01"})
	require.EqualError(t, err, "TEST_PORT must be at most 65535\nTEST_WAIT must be at least 0s\nTEST_RATIO must be at most 1")
	_, err = load(t, map[string]string{"TEST_SECRET": "x", "TEST_RATIO": "NaN"})
	require.ErrorContains(t, err, "TEST_RATIO must be")
}

func TestValidateIsCalled(t *testing.T) {
	_, err := load(t, map[string]string{"TEST_SECRET": "x", "TEST_DEBUG": "1"})
	require.EqualError(t, err, "TEST_DEBUG needs TEST_FORMAT=text")
}

func TestDescribe(t *testing.T) {
	var b strings.Builder
	require.NoError(t, config.Describe(&b, &settings{}))
	require.Regexp(t, `(?m)^TEST_WAIT +5s +how long to wait$`, b.String())
	require.Regexp(t, `(?m)^TEST_SECRET +the database's address \(required\)$`, b.String())
	require.Regexp(t, `(?m)^TEST_FORMAT +json +form of a log line \(json, text\)$`, b.String())
}
