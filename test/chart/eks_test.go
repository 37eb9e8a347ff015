package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const eks = root + "/k8s/eks"

// public is the variable of an installation with a domain.
const public = `public={host="shop.acme.test",certificate_arn="arn:aws:acm:test:1:certificate/1",issuer="https://id.acme.test"}`

// TestTheClusterOfEKSIsFormatted: the files are formatted by tofu fmt.
func TestTheClusterOfEKSIsFormatted(t *testing.T) {
	t.Setenv("TF_CLI_CONFIG_FILE", os.DevNull)
	run(t, "", tool(t, "opentofu"), "fmt", "-check", "-diff", eks)
}

// told runs k8s/eks with OpenTofu, and returns an output. The public modules and AWS's provider
// are replaced by stand-ins (testdata/eks), because they aren't available here.
func told(t *testing.T, output string, variables ...string) string {
	t.Helper()
	t.Setenv("TF_CLI_CONFIG_FILE", os.DevNull)
	folder := t.TempDir()
	stub, err := filepath.Abs("testdata/eks")
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(folder, os.DirFS(eks)))
	require.NoError(t, os.RemoveAll(filepath.Join(folder, ".terraform")))
	require.NoError(t, os.Remove(filepath.Join(folder, "versions.tf")))
	require.NoError(t, os.CopyFS(filepath.Join(folder, "stub"), os.DirFS(stub)))
	file := filepath.Join(folder, "main.tf")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	module := regexp.MustCompile(`"terraform-aws-modules/([a-z-]+)/aws"\n +version += "(\d+\.\d+\.\d+)"`)
	for _, found := range module.FindAllStringSubmatch(string(text), -1) {
		standIn, err := os.ReadFile(filepath.Join(stub, found[1], "main.tf"))
		require.NoError(t, err)
		require.Contains(t, string(standIn), "/"+found[1]+"/aws "+found[2], "the stand-in must have the pinned version: check what has changed")
	}
	require.NoError(t, os.WriteFile(file, module.ReplaceAll(text, []byte(`"./stub/$1"`)), 0o600))
	require.NotContains(t, string(module.ReplaceAll(text, nil)), "terraform-aws-modules/", "a module is not pinned")

	tofu := tool(t, "opentofu")
	run(t, "", tofu, "-chdir="+folder, "init", "-backend=false", "-no-color")
	apply := []string{"-chdir=" + folder, "apply", "-auto-approve", "-no-color"}
	for _, variable := range variables {
		apply = append(apply, "-var", variable)
	}
	run(t, "", tofu, apply...)
	return run(t, "", tofu, "-chdir="+folder, "output", "-raw", output)
}

// with returns the lines that contain a text, without indentation.
func with(rendering, text string) []string {
	var found []string
	for line := range strings.Lines(rendering) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// TestTheClusterOfEKSWritesTheChartsValues: the chart accepts the values that OpenTofu writes, alone and
// together with production's, and no example value remains.
func TestTheClusterOfEKSWritesTheChartsValues(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		rendering := run(t, told(t, "values"), tool(t, "helm"), append(templateArguments(t, nil), "--set", "image.tag=v1.2.3", "--values", "-")...)
		validate(t, schemas(t), rendering)
		require.Empty(t, with(rendering, "kind: PersistentVolumeClaim"))
		require.NotContains(t, with(rendering, "kind: "), "kind: Ingress")
		for _, own := range []string{
			`image: "1.dkr.ecr.test/shop/user-service:v1.2.3"`, `image: "1.dkr.ecr.test/shop/order-service:v1.2.3"`, "PGSSLROOTCERT", "cidr: 10.0.128.0/20",
		} {
			require.NotEmpty(t, with(rendering, own), own)
		}
	})
	t.Run("with production's, and a domain", func(t *testing.T) {
		values := told(t, "values", public, `cidr=10.7.0.0/16`)
		rendering := run(t, values, tool(t, "helm"), append(templateArguments(t, []string{chart + "/values-prod.yaml"}), "--values", "-")...)
		validate(t, schemas(t), rendering)
		for _, example := range []string{"example.com", "111122223333", "EXAMPLED", "10.0."} {
			require.Empty(t, with(rendering, example))
		}
		for _, own := range []string{
			"shop.acme.test", "https://id.acme.test", "https://oidc.eks.test/id/1", "arn:aws:acm:test:1:certificate/1",
			"10.7.0.0/20,10.7.16.0/20,10.7.32.0/20", "cidr: 10.7.0.0/20", "cidr: 10.7.128.0/20", `ingressClassName: "alb"`,
		} {
			require.NotEmpty(t, with(rendering, own), own)
		}
	})
}

// TestTheClusterOfEKSHasWhatTheChartNeeds: it has the Secrets that the values name, with the
// user and the password from RDS, and a default StorageClass.
func TestTheClusterOfEKSHasWhatTheChartNeeds(t *testing.T) {
	objects := told(t, "objects")
	validate(t, schemas(t), objects)
	require.Contains(t, objects, `storageclass.kubernetes.io/is-default-class: "true"`)

	var values struct {
		Services map[string]struct {
			Database struct {
				URL         string
				Credentials struct {
					ExistingSecret string `yaml:"existingSecret"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(told(t, "values")), &values))
	require.Len(t, values.Services, 2+len(others(t)))
	found := map[string]string{}
	for _, text := range separator.Split(objects, -1) {
		var o struct {
			Kind string
			Spec struct {
				Target   struct{ Name string }
				DataFrom []struct{ Extract struct{ Key string } } `yaml:"dataFrom"`
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o))
		if o.Kind == "ExternalSecret" {
			found[o.Spec.Target.Name] = o.Spec.DataFrom[0].Extract.Key // which has username and password
		}
	}
	for name, service := range values.Services {
		require.Equal(t, "arn:aws:secretsmanager:test:1:secret:rds!shop-"+name, found[service.Database.Credentials.ExistingSecret])
		require.Equal(t, "postgres://shop-"+name+".rds.test:5432/"+strings.ReplaceAll(name, "-", "_")+"?sslmode=verify-full", service.Database.URL)
	}
}

// TestWrongVariablesOfEKSAreRefused: tofu rejects them before it creates anything.
func TestWrongVariablesOfEKSAreRefused(t *testing.T) {
	t.Setenv("TF_CLI_CONFIG_FILE", os.DevNull)
	folder := t.TempDir()
	text, err := os.ReadFile(eks + "/variables.tf")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "variables.tf"), text, 0o600))
	for variable, says := range map[string]string{
		"name=Shop":                      "lower-case letters",
		`zones=["a"]`:                    "two to four zones",
		`public={host="shop.acme.test"}`: "certificate_arn",
		`database={class=["a"]}`:         "string required",
	} {
		_, said, err := try(t, "", tool(t, "opentofu"), "-chdir="+folder, "plan", "-no-color", "-var", variable)
		require.Error(t, err, variable)
		require.Contains(t, strings.Join(strings.Fields(said), " "), says)
	}
}
