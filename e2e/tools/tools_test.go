// Package tools_test uses KMS with tools that people use it with: SOPS, sigstore's provider for AWS KMS,
// which cosign signs with, and the AWS Encryption SDK. They are told nothing but where the server is, the credentials and the region. `make tools` builds and
// installs them.
package tools_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A desk is somebody's, with a folder, tools and keys.
type desk struct {
	t   *testing.T
	dir string
	env []string
	kms *kms.Client
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s, account, dir := server.Start(t, t.TempDir()+"/data"), seed.NewAccount(), t.TempDir()
	d := &desk{t: t, dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=" + seed.Region,
		"AWS_ACCESS_KEY_ID=" + account + "ADMIN", "AWS_SECRET_ACCESS_KEY=test",
	}}
	d.kms = kms.NewFromConfig(aws.Config{Region: seed.Region, BaseEndpoint: &s.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"}, nil
	})})
	return d
}

func (d *desk) key() string {
	d.t.Helper()
	out, err := d.kms.CreateKey(d.t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		d.t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

func (d *desk) try(dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(d.t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *desk) run(dir, name string, args ...string) string {
	d.t.Helper()
	out, err := d.try(dir, name, args...)
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

// tool is what a variable of the environment names.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: run make tools", variable)
	}
	return path
}

func TestSOPS(t *testing.T) {
	sops, d := tool(t, "KAGIMORI_SOPS"), newDesk(t)
	first, second := d.key(), d.key()
	secret := []byte("password: hunter2\nlist:\n    - one\n    - two\n")
	if err := os.WriteFile(filepath.Join(d.dir, "plain.yaml"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(d.dir, sops, "--encrypt", "--kms", first, "--encryption-context", "Role:ci", "--output", "sealed.yaml", "plain.yaml")
	sealed, err := os.ReadFile(filepath.Join(d.dir, "sealed.yaml"))
	if err != nil || bytes.Contains(sealed, []byte("hunter2")) || !bytes.Contains(sealed, []byte(first)) {
		t.Fatalf("sealed file (%v):\n%s", err, sealed)
	}
	if out := d.run(d.dir, sops, "--decrypt", "sealed.yaml"); out != string(secret) {
		t.Errorf("decrypted %q", out)
	}
	// Another key is added and the first taken away; then the first may go.
	d.run(d.dir, sops, "rotate", "--in-place", "--add-kms", second, "--rm-kms", first, "sealed.yaml")
	if _, err := d.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &first}); err != nil {
		t.Fatal(err)
	}
	if out := d.run(d.dir, sops, "--decrypt", "sealed.yaml"); out != string(secret) {
		t.Errorf("decrypted %q after rotation", out)
	}
	if _, err := d.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &second}); err != nil {
		t.Fatal(err)
	}
	if out, err := d.try(d.dir, sops, "--decrypt", "sealed.yaml"); err == nil || !strings.Contains(out, "DisabledException") {
		t.Errorf("with a key that is disabled: %v\n%s", err, out)
	}
}

func TestEncryptionSDK(t *testing.T) {
	dir, d := tool(t, "KAGIMORI_ENCRYPTION_SDK"), newDesk(t)
	if out := d.run(dir, "node", "roundtrip.mjs", d.key(), d.key()); !strings.HasSuffix(out, "\nok\n") && out != "ok\n" { // Node may warn first
		t.Errorf("the script says %q", out)
	}
}

// Keys that sigstore makes, finds by alias and ARN, and signs with verify here, at KMS and nowhere else.
func TestSigstore(t *testing.T) {
	sigstore, d := tool(t, "KAGIMORI_SIGSTORE"), newDesk(t)
	for name, text := range map[string]string{"image": "the digest of an image", "other": "the digest of another"} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, algorithm := range []string{"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "RSA_2048", "RSA_4096"} {
		t.Run(algorithm, func(t *testing.T) {
			d := &desk{t, d.dir, d.env, d.kms}
			alias := "alias/" + strings.ToLower(algorithm)
			public := d.run(d.dir, sigstore, "create", algorithm, alias)
			if !strings.HasPrefix(public, "-----BEGIN PUBLIC KEY-----") || d.run(d.dir, sigstore, "create", algorithm, alias) != public {
				t.Errorf("the public key is %q, and another the next time", public)
			}
			key, err := d.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &alias})
			if err != nil || string(key.KeyMetadata.KeySpec) != algorithm || key.KeyMetadata.KeyUsage != "SIGN_VERIFY" {
				t.Fatalf("%+v, %v", key, err)
			}
			for _, id := range []string{alias, *key.KeyMetadata.Arn, *key.KeyMetadata.KeyId} {
				d.run(d.dir, sigstore, "sign", id, "image", "signature")
				if out := d.run(d.dir, sigstore, "verify", id, "image", "signature"); out != "verified\n" {
					t.Errorf("%s: %q", id, out)
				}
				if out, err := d.try(d.dir, sigstore, "verify", id, "other", "signature"); err == nil {
					t.Errorf("%s verifies another file: %q", id, out)
				}
			}
			if _, err := d.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyMetadata.Arn}); err != nil {
				t.Fatal(err)
			}
			if out, err := d.try(d.dir, sigstore, "sign", alias, "image", "signature"); err == nil || !strings.Contains(out, "DisabledException") {
				t.Errorf("a disabled key: %v %q", err, out)
			}
		})
	}
}
