// Package deploytest_test reads what is in the folder deploy as those do for whom it is there.
package deploytest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const folder = "../../deploy"

// objects are those of a file of manifests, decoded strictly into Kubernetes' own types.
func objects(t *testing.T, path string) (all []metav1.Object) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		var into metav1.Object
		switch kind.APIVersion + " " + kind.Kind {
		case "v1 ConfigMap":
			into = &corev1.ConfigMap{}
		case "v1 Service":
			into = &corev1.Service{}
		case "apps/v1 StatefulSet":
			into = &appsv1.StatefulSet{}
		case "networking.k8s.io/v1 NetworkPolicy":
			into = &networkingv1.NetworkPolicy{}
		case "policy/v1 PodDisruptionBudget":
			into = &policyv1.PodDisruptionBudget{}
		default:
			t.Fatalf("%s: a %s of %s is not known here", path, kind.Kind, kind.APIVersion)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			t.Errorf("%s: %s %s: %v", path, kind.Kind, into.GetName(), err)
		}
		all = append(all, into)
	}
	return all
}

// Manifests have no field that Kubernetes does not know, and what they name is there.
func TestManifests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "kubernetes", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		var set *appsv1.StatefulSet
		configs, services := map[string]*corev1.ConfigMap{}, map[string]*corev1.Service{}
		for _, o := range objects(t, path) {
			switch o := o.(type) {
			case *appsv1.StatefulSet:
				set = o
			case *corev1.ConfigMap:
				configs[o.Name] = o
			case *corev1.Service:
				services[o.Name] = o
			}
		}
		if set == nil || services[set.Spec.ServiceName] == nil {
			t.Fatalf("%s: no set, or no service of it", path)
		}
		pod := set.Spec.Template
		c := pod.Spec.Containers[0]
		ports := map[string]int32{}
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		for name, s := range services {
			for k, v := range s.Spec.Selector {
				if pod.Labels[k] != v {
					t.Errorf("%s: the service %s selects nothing", path, name)
				}
			}
			for _, p := range s.Spec.Ports {
				if p.TargetPort.IntVal != ports[p.Name] {
					t.Errorf("%s: the service %s leads to port %v", path, name, p.TargetPort)
				}
			}
		}
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
			if probe == nil || ports[probe.HTTPGet.Port.StrVal] == 0 {
				t.Errorf("%s: a probe of no port", path)
			}
		}
		have := map[string]string{}
		for _, v := range pod.Spec.Volumes {
			have[v.Name] = v.Name
			if v.ConfigMap != nil && configs[v.ConfigMap.Name] == nil {
				t.Errorf("%s: no settings %s", path, v.ConfigMap.Name)
			}
			if comment, _ := os.ReadFile(path); v.Secret != nil && !strings.Contains(string(comment), " "+v.Secret.SecretName+" --") {
				t.Errorf("%s: nobody says how to make the secret %s", path, v.Secret.SecretName)
			}
		}
		for _, v := range set.Spec.VolumeClaimTemplates {
			have[v.Name] = v.Name
		}
		for _, m := range c.VolumeMounts {
			if have[m.Name] == "" {
				t.Errorf("%s: no volume %s", path, m.Name)
			}
		}
		if !*pod.Spec.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation {
			t.Errorf("%s: the container may more than it needs", path)
		}
		if bin := os.Getenv("KAGIMORI_BIN"); bin != "" {
			checkSettings(t, bin, configs[set.Name].Data["kagimori.yaml"])
		}
	}
}

// checkSettings has the program read settings as far as it does not need the files that they name.
func checkSettings(t *testing.T, bin, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kagimori.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "config", "show", path).CombinedOutput(); err != nil {
		t.Errorf("settings: %s", out)
	}
}

// The unit is one that systemd takes, and its settings are the program's.
func TestUnit(t *testing.T) {
	bin := os.Getenv("KAGIMORI_BIN")
	if bin == "" {
		t.Fatal("KAGIMORI_BIN names the program")
	}
	data, err := os.ReadFile(filepath.Join(folder, "kagimori.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "kagimori.service")
	text := strings.NewReplacer("/usr/local/bin/kagimori", bin, "User=kagimori", "User=daemon", "Group=kagimori", "Group=daemon").Replace(string(data))
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("systemd-analyze: %v %s", err, out)
	}
	settings, err := os.ReadFile(filepath.Join(folder, "kagimori.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	checkSettings(t, bin, string(settings))
}
