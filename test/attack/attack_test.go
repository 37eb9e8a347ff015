package attack_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/test/attack"
)

func TestMain(m *testing.M) { postgres.Exit(postgres.Main(m)) }

var span = flag.Duration("span", 3*time.Second, "the duration of each attack")

// TestOneCallerCannotDenyServiceToOthers: whatever one caller does, another caller and the
// probes get answers, and the service stays within its pod's memory. The latency is
// measured by the bench.
func TestOneCallerCannotDenyServiceToOthers(t *testing.T) {
	attacker := filepath.Join(t.TempDir(), "attacker")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", attacker, "./attacker").CombinedOutput()
	require.NoError(t, err, "%s", out)
	programs := attack.Programs{Users: process.Build(t, "user-service"), Orders: process.Build(t, "order-service"), Attacker: attacker}
	for kind, address := range map[string]func(t *testing.T) string{
		"postgres": func(t *testing.T) string { return postgres.New(t) },
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "db") },
	} {
		t.Run(kind, func(t *testing.T) {
			scene, err := attack.Set(t.Context(), t.TempDir(), programs, address(t), address(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, scene.Close()) })
			scene.Bystander.ProbeTimeout = 10 * time.Second // the bench allows 1 s, on an otherwise idle machine
			ordinary := scene.Ordinary(t.Context(), *span).Bystander
			t.Logf("limited by a control group: %v; without an attack p99 %s of %d", scene.Confined(), ordinary.Percentile(99), ordinary.Requests())
			require.Zero(t, ordinary.Requests()-ordinary.Statuses[200], "%v", ordinary.Statuses)
			for _, a := range attack.All {
				t.Run(a.Name, func(t *testing.T) {
					both, result, err := scene.Under(t.Context(), a, *span)
					fared := both.Bystander
					require.NoError(t, err)
					held, err := scene.Memory()
					require.NoError(t, err, "the service is gone")
					refused, err := scene.Refused(t.Context())
					require.NoError(t, err)
					t.Logf("p99 %s (%.1f ×) of %v; probes %d, failed %d; memory %d MiB; the attacker got %v, %d MiB; rejected in total: %s",
						fared.Percentile(99), float64(fared.Percentile(99))/float64(ordinary.Percentile(99)), fared.Statuses, fared.Probes, fared.Failed, held>>20, result.Statuses, result.Bytes>>20, refused)
					require.NotEmpty(t, result.Statuses, "the attacker made no request")
					require.Empty(t, fared.Errors)
					// The bench allows 2 %.
					require.LessOrEqual(t, (fared.Requests()-fared.Statuses[200])*10, fared.Requests(), "more than a tenth was rejected: %v", fared.Statuses)
					require.Equal(t, fared.Requests(), fared.Statuses[200]+fared.Statuses[429]+fared.Statuses[503], "%v", fared.Statuses)
					require.Zero(t, fared.Failed, "probes")
					require.Less(t, held, int64(attack.MemoryLimit))
				})
			}
		})
	}
}
