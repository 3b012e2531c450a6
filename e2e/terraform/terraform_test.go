// Package terraform_test plays both examples of the page with Terraform and the AWS provider, which
// are told nothing but where the server is and the credentials. It fails where terraform is
// missing.
//
// The provider comes from the registry. Where that cannot be reached, PluginsEnv names a folder
// that holds it, laid out as a filesystem mirror, or TF_CLI_CONFIG_FILE says where to look.
package terraform_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

// PluginsEnv names a folder with the AWS provider.
const PluginsEnv = "KAGIMORI_TF_PLUGINS"

// A workspace is a configuration with its state, against one server.
type workspace struct {
	t   *testing.T
	srv *server.Server
	dir string
	env []string
}

// open copies a configuration to a folder of its own and gets the provider.
func open(t *testing.T, example string) *workspace {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Fatalf("terraform is needed: %v", err)
	}
	w := &workspace{t: t, srv: server.Start(t, t.TempDir()+"/data"), dir: t.TempDir()}
	check(t, os.CopyFS(w.dir, os.DirFS(example)))
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "TF_VAR_") && !strings.HasPrefix(e, "TF_CLI_ARGS") {
			w.env = append(w.env, e)
		}
	}
	w.env = append(w.env, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "TF_VAR_endpoint="+w.srv.URL)
	if plugins := os.Getenv(PluginsEnv); plugins != "" {
		rc := filepath.Join(t.TempDir(), "terraformrc")
		check(t, os.WriteFile(rc, fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", plugins), 0o600))
		w.env = append(w.env, "TF_CLI_CONFIG_FILE="+rc)
	}
	w.run("init", "-no-color")
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try runs terraform and gives all it says and its exit code.
func (w *workspace) try(args ...string) (string, int) {
	w.t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), "terraform", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, &out, &out
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		w.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (w *workspace) run(args ...string) string {
	w.t.Helper()
	out, code := w.try(args...)
	if code != 0 {
		w.t.Fatalf("terraform %s ended with %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// apply makes what the configuration says and wants a second plan to find nothing to do.
func (w *workspace) apply(vars ...string) {
	w.t.Helper()
	w.run(append([]string{"apply", "-no-color", "-auto-approve"}, flags(vars)...)...)
	out, code := w.try(append([]string{"plan", "-no-color", "-detailed-exitcode"}, flags(vars)...)...)
	if code != 0 { // 2: there is something to do
		w.t.Fatalf("the second plan ended with %d:\n%s", code, out)
	}
}

// refused wants an apply to fail with a text, whatever its line breaks.
func (w *workspace) refused(text string, vars ...string) {
	w.t.Helper()
	out, code := w.try(append([]string{"apply", "-no-color", "-auto-approve"}, flags(vars)...)...)
	if said := strings.Join(strings.Fields(out), " "); code != 1 || !strings.Contains(said, text) {
		w.t.Fatalf("apply ended with %d, want 1 and %q:\n%s", code, text, out)
	}
}

// destroy removes everything, and looks whether the server kept a volume.
func (w *workspace) destroy() {
	w.t.Helper()
	w.run("destroy", "-no-color", "-auto-approve")
	if left := strings.TrimSpace(w.run("state", "list")); left != "" {
		w.t.Errorf("the state still has %s", left)
	}
	files, err := os.ReadDir(filepath.Join(w.srv.Dir, "volumes"))
	check(w.t, err)
	for _, f := range files {
		w.t.Errorf("%s is left of a volume", f.Name())
	}
}

// output is an output value of the configuration.
func output[T any](w *workspace, name string) T {
	w.t.Helper()
	var v T
	check(w.t, json.Unmarshal([]byte(w.run("output", "-json", name)), &v))
	return v
}

func flags(vars []string) (args []string) {
	for _, v := range vars {
		args = append(args, "-var="+v)
	}
	return args
}

// wantVolumes wants that many volumes, all under the key.
func (w *workspace) wantVolumes(n int) {
	w.t.Helper()
	key, got := output[string](w, "key_arn"), output[[]string](w, "volume_keys")
	if len(got) != n {
		w.t.Errorf("there are %d volumes, want %d", len(got), n)
	}
	for _, k := range got {
		if k != key {
			w.t.Errorf("a volume is under %q, want %s", k, key)
		}
	}
}

// never is what the provider says when the instances of a group do not come to life.
const never = "timeout while waiting for state to become 'ok' (last state: 'want at least %d healthy instance(s) in Auto Scaling Group, have 0'"

func TestExample1(t *testing.T) {
	t.Parallel()
	w := open(t, "example1")
	w.apply()
	if n := output[int](w, "instances"); n != 2 {
		t.Errorf("there are %d instances, want 2", n)
	}
	w.wantVolumes(4)
	w.apply("description=another", "instances=3")
	w.wantVolumes(6)
	w.destroy()
}

func TestExample1WithoutStatements(t *testing.T) {
	t.Parallel()
	w := open(t, "example1")
	w.refused(fmt.Sprintf(never, 2), "statements=false", "capacity_timeout=20s")
	w.apply()
	w.wantVolumes(4)
	w.destroy()
}

func TestExample2(t *testing.T) {
	t.Parallel()
	w := open(t, "example2")
	w.refused(fmt.Sprintf(never, 1), "grant=false", "capacity_timeout=20s")
	w.apply()
	if got := output[string](w, "key_arn"); !strings.HasPrefix(got, "arn:aws:kms:us-west-2:444455556666:key/") {
		t.Errorf("the key is %s", got)
	}
	if got := output[string](w, "group_account"); got != "111122223333" {
		t.Errorf("the group is in %s", got)
	}
	w.destroy()
}
