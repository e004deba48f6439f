package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	composetypes "github.com/compose-spec/compose-go/v2/types"
	"github.com/hashicorp/hcl/v2/hclparse"
	chartloader "helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const deploy = "../deploy"

// everything turns every part of the chart on.
const everything = `
config: {VAULT_ADDR: "https://v", REDIS_URL: "rediss://redis:6379", FIRM_STORE: "vault:portcullis/state"}
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
secretEnv: [portcullis-secrets]
policyConfigMap: rules
tlsSecret: tls
vaultCA: {secret: vault-ca}
evidence: {to: volume, storageClass: fast}
autoscaling: {enabled: true}
networkPolicy: {from: [{namespaceSelector: {}}], metricsFrom: [{namespaceSelector: {}}]}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
imagePullSecrets: [{name: registry}]
nodeSelector: {a: b}
tolerations: [{key: x, operator: Exists}]
podAnnotations: {note: "1"}
priorityClassName: high
`

// TestChart: what the chart renders, plain and with everything on, is what Kubernetes'
// own types know, without a member too many, and keeps to the restricted profile.
func TestChart(t *testing.T) {
	for name, values := range map[string]string{"plain": "", "everything": everything} {
		t.Run(name, func(t *testing.T) {
			kinds := map[string]int{}
			for _, doc := range render(t, values) {
				kind := decode(t, doc)
				kinds[kind]++
			}
			for kind, plain := range map[string]int{"ConfigMap": 1, "Service": 2, "ServiceAccount": 1, "PodDisruptionBudget": 1, "NetworkPolicy": 1} {
				if kinds[kind] != plain {
					t.Errorf("%d of %s, want %d", kinds[kind], kind, plain)
				}
			}
			if name == "everything" && (kinds["StatefulSet"] != 1 || kinds["HorizontalPodAutoscaler"] != 1 || kinds["ServiceMonitor"] != 1) {
				t.Errorf("got %v", kinds)
			}
		})
	}
}

// TestChartRefusesMistakes: secrets among the settings, misspelt values and settings
// that the chart makes itself do not pass the values schema.
func TestChartRefusesMistakes(t *testing.T) {
	for name, values := range map[string]string{
		"a secret in a ConfigMap": `config: {VAULT_ADDR: "https://v", VAULT_TOKEN: root}`,
		"a password of Redis":     `config: {VAULT_ADDR: "https://v", REDIS_URL: "rediss://u:p@redis"}`,
		"a misspelt value":        `replica: 3`,
		"no replicas":             `replicas: 0`,
		"a setting in small":      `config: {VAULT_ADDR: "https://v", log_level: debug}`,
		"a wrong digest":          `image: {digest: latest}`,
		"the port of the chart":   `config: {VAULT_ADDR: "https://v", PORT: 1}`,
		"evidence nowhere":        `evidence: {to: nowhere}`,
	} {
		if _, err := rendered(t, values); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSettingsExist: every setting that the deployments name is one of the gateway's.
func TestSettingsExist(t *testing.T) {
	source, err := os.ReadFile("../../gateway/config/config.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"SSL_CERT_FILE": true, "VAULT_ADDR": true}
	for _, m := range regexp.MustCompile(`cfg:"([A-Z0-9_]+)"`).FindAllStringSubmatch(string(source), -1) {
		known[m[1]] = true
	}
	var cm corev1.ConfigMap
	for _, doc := range render(t, everything) {
		if strings.Contains(doc, "kind: ConfigMap") {
			must(t, yaml.UnmarshalStrict([]byte(doc), &cm))
		}
	}
	names := []string{}
	for name := range cm.Data {
		names = append(names, name)
	}
	for name := range compose(t).Services["gateway-1"].Environment {
		names = append(names, name)
	}
	toml, err := os.ReadFile(deploy + "/package/portcullis.toml")
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^#? ?([a-z_]+) = `).FindAllStringSubmatch(string(toml), -1) {
		names = append(names, strings.ToUpper(m[1]))
	}
	if len(names) < 20 {
		t.Fatalf("only %d settings were found", len(names))
	}
	for _, n := range names {
		if !known[n] {
			t.Errorf("%s is no setting of the gateway", n)
		}
	}
}

// TestCompose: the file is valid, and no container may more than it needs.
func TestCompose(t *testing.T) {
	p := compose(t)
	for _, name := range []string{"gateway-1", "gateway-2", "gateway-3"} {
		s := p.Services[name]
		if !s.ReadOnly || len(s.CapDrop) != 1 || len(s.SecurityOpt) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		for _, setting := range []string{"REDIS_URL", "FIRM_STORE", "STATE_DIR"} {
			if s.Environment[setting] == nil {
				t.Errorf("%s does not set %s", name, setting)
			}
		}
	}
}

// TestUnit: systemd takes the unit, and judges it as little exposed.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile(deploy + "/systemd/portcullis.service")
	must(t, err)
	program, err := exec.LookPath("true")
	must(t, err)
	file := filepath.Join(t.TempDir(), "portcullis.service")
	must(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(unit), "/usr/bin/portcullis", program)), 0o600))
	if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", file).CombinedOutput()
	if err != nil {
		t.Errorf("the unit is more exposed than 2.0: %v\n%s", err, out)
	}
}

// TestTerraform: the module parses.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob(deploy + "/terraform/*.tf")
	must(t, err)
	if len(files) != 3 {
		t.Fatalf("got %v", files)
	}
	for _, f := range files {
		if _, diags := hclparse.NewParser().ParseHCLFile(f); diags.HasErrors() {
			t.Error(diags)
		}
	}
}

func compose(t *testing.T) *composetypes.Project {
	t.Helper()
	p, err := loader.LoadWithContext(t.Context(), composetypes.ConfigDetails{
		WorkingDir: deploy + "/compose", ConfigFiles: []composetypes.ConfigFile{{Filename: deploy + "/compose/compose.yaml"}},
		Environment: composetypes.Mapping{},
	})
	must(t, err)
	return p
}

func render(t *testing.T, values string) []string {
	t.Helper()
	docs, err := rendered(t, values)
	must(t, err)
	return docs
}

func rendered(t *testing.T, values string) (docs []string, err error) {
	t.Helper()
	c, err := chartloader.LoadDir(deploy + "/helm/portcullis")
	must(t, err)
	must(t, c.Validate())
	v, err := chartutil.ReadValues([]byte(values))
	must(t, err)
	all, err := chartutil.ToRenderValues(c, v, chartutil.ReleaseOptions{Name: "gate", Namespace: "agents", Revision: 1, IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, doc := range strings.Split(text, "\n---\n") {
			if strings.TrimSpace(doc) != "" {
				docs = append(docs, doc)
			}
		}
	}
	return docs, nil
}

// decode reads a document strictly into Kubernetes' type for it, and names its kind.
func decode(t *testing.T, doc string) string {
	t.Helper()
	var kind struct {
		Kind string `json:"kind"`
	}
	must(t, yaml.Unmarshal([]byte(doc), &kind))
	into := map[string]any{
		"ConfigMap": new(corev1.ConfigMap), "Service": new(corev1.Service), "ServiceAccount": new(corev1.ServiceAccount),
		"Deployment": new(appsv1.Deployment), "StatefulSet": new(appsv1.StatefulSet), "PodDisruptionBudget": new(policyv1.PodDisruptionBudget),
		"HorizontalPodAutoscaler": new(autoscalingv2.HorizontalPodAutoscaler), "NetworkPolicy": new(networkingv1.NetworkPolicy),
	}[kind.Kind]
	if into == nil {
		if kind.Kind != "ServiceMonitor" { // not one of Kubernetes' own
			t.Errorf("kind %q", kind.Kind)
		}
		return kind.Kind
	}
	if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
		t.Errorf("%s: %v\n%s", kind.Kind, err, doc)
	}
	switch w := into.(type) {
	case *appsv1.Deployment:
		restricted(t, w.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		restricted(t, w.Spec.Template.Spec)
	}
	return kind.Kind
}

// restricted checks what the restricted profile of the Pod Security Standards asks for.
func restricted(t *testing.T, p corev1.PodSpec) {
	t.Helper()
	c := p.Containers[0].SecurityContext
	switch {
	case p.HostNetwork || p.HostPID || p.HostIPC, !*p.SecurityContext.RunAsNonRoot, p.SecurityContext.SeccompProfile.Type != "RuntimeDefault",
		*c.AllowPrivilegeEscalation, !*c.ReadOnlyRootFilesystem, len(c.Capabilities.Drop) != 1, c.Capabilities.Drop[0] != "ALL":
		t.Errorf("the pod is not restricted: %+v %+v", p.SecurityContext, c)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
