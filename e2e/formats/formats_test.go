package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Clean()
	os.Exit(code)
}

// command runs kagimori and gives what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	return string(out), err
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := command(t, args...); err != nil {
		t.Errorf("kagimori %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Every earlier format opens: what is in it is there, its keys do what they did, its audit log and its store are
// whole, before and after. So does a backup that the present program makes of it.
func TestEarlierFormats(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			h, err := unpack(archive, data)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.Ciphertexts) < 3 || len(h.Names["key"]) < 5 || len(h.Names["user"]) == 0 {
				t.Fatalf("the fixture holds next to nothing: %d ciphertexts, %d keys", len(h.Ciphertexts), len(h.Names["key"]))
			}
			must(t, "store", "check", "--data", data)
			for range 2 { // as it was, and as the first start left it
				s := server.Start(t, data)
				check(t, s.URL, h)
				s.Stop()
				must(t, "store", "check", "--data", data)
				must(t, "trail", "verify", "--data", data, "--seal", "plain-file")
			}
			backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
			must(t, "store", "backup", "--volumes", "--data", data, "--seal", "plain-file", backup)
			must(t, "store", "restore", "--data", restored, "--seal", "plain-file", backup)
			check(t, server.Start(t, restored).URL, h)
		})
	}
}

// check finds again what a fixture holds.
func check(t *testing.T, url string, h holds) {
	t.Helper()
	w := newWorld(url)
	ctx := t.Context()
	there := map[string]string{}
	if err := w.look(ctx, func(kind, name, told string) { there[kind+" "+name] = told }); err != nil {
		t.Error(err)
	}
	for kind, names := range h.Names {
		if kind == "access key" {
			continue
		}
		for name, told := range names {
			if got, ok := there[kind+" "+name]; !ok || got != told {
				t.Errorf("%s %s: %q (%t), want %q", kind, name, got, ok, told)
			}
		}
	}
	for id, secret := range h.Names["access key"] {
		c := clientsOf(url, region, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}).kms
		if err := opens(ctx, c, h.Ciphertexts[0]); err != nil {
			t.Errorf("the user with access key %s: %v", id, err)
		}
	}
	for _, ct := range h.Ciphertexts {
		if err := opens(ctx, w.in(ct.Region).kms, ct); err != nil {
			t.Errorf("%s of %s: %v", ct.Algorithm, ct.Key, err)
		}
	}
	checkSignatures(t, w, h)
	checkShared(t, w, h)
	for _, key := range h.Gone {
		_, err := w.in(region).kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "NotFoundException" {
			t.Errorf("deleted key %s: %v", key, err)
		}
	}
}

func opens(ctx context.Context, c *kms.Client, ct ciphertext) error {
	out, err := c.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &ct.Key, CiphertextBlob: ct.Blob, EncryptionContext: ct.Context, EncryptionAlgorithm: types.EncryptionAlgorithmSpec(ct.Algorithm),
	})
	if err == nil && !bytes.Equal(out.Plaintext, ct.Plain) {
		err = fmt.Errorf("it decrypts to %q", out.Plaintext)
	}
	return err
}

func checkSignatures(t *testing.T, w *world, h holds) {
	t.Helper()
	for _, s := range h.Signatures {
		_, err := w.in(s.Region).kms.Verify(t.Context(), &kms.VerifyInput{
			KeyId: &s.Key, Message: s.Message, MessageType: "RAW", Signature: s.Signature, SigningAlgorithm: types.SigningAlgorithmSpec(s.Algorithm),
		})
		if err != nil {
			t.Errorf("a signature of %s: %v", s.Key, err)
		}
	}
	for _, s := range h.MACs {
		_, err := w.in(s.Region).kms.VerifyMac(t.Context(), &kms.VerifyMacInput{KeyId: &s.Key, Message: s.Message, Mac: s.Signature, MacAlgorithm: types.MacAlgorithmSpec(s.Algorithm)})
		if err != nil {
			t.Errorf("a MAC of %s: %v", s.Key, err)
		}
	}
}

func checkShared(t *testing.T, w *world, h holds) {
	t.Helper()
	for _, s := range h.Shared {
		var secret []byte
		var err error
		c := w.in(s.Region).kms
		if s.Algorithm == "ECDH" {
			var out *kms.DeriveSharedSecretOutput
			if out, err = c.DeriveSharedSecret(t.Context(), &kms.DeriveSharedSecretInput{KeyId: &s.Key, PublicKey: s.In, KeyAgreementAlgorithm: "ECDH"}); err == nil {
				secret = out.SharedSecret
			}
		} else {
			var out *kms.DecapsulateOutput
			if out, err = c.Decapsulate(t.Context(), &kms.DecapsulateInput{KeyId: &s.Key, SharedSecretCiphertextBlob: s.In, EncapsulationAlgorithm: types.EncapsulationAlgorithmSpec(s.Algorithm)}); err == nil {
				secret = out.SharedSecret
			}
		}
		if err != nil || !bytes.Equal(secret, s.Secret) {
			t.Errorf("%s of %s: %v, and another secret", s.Algorithm, s.Key, err)
		}
	}
	for name, want := range h.PublicKeys {
		r, key, _ := strings.Cut(name, " ")
		out, err := w.in(r).kms.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &key})
		if err != nil || !bytes.Equal(out.PublicKey, want) {
			t.Errorf("public key of %s: %v", name, err)
		}
	}
}

// sums are the contents of a folder; of files of volumes, which are large, when they were changed.
func sums(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	const large = 64 << 20
	all := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if fi.Size() > large {
			all[path] = sha256.Sum256([]byte(fi.ModTime().String()))
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What a later program wrote is refused, by everything that would open it, and stays as it is.
func TestLaterFormat(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if _, err := unpack(archives[len(archives)-1], data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "kagimori.json"), []byte(`{"format":99,"dev":true}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := sums(t, data)
	for _, args := range [][]string{
		{"serve", "--dev", "--listen", "127.0.0.1:0", "--data", data},
		{"store", "check", "--data", data},
		{"store", "backup", "--data", data, "--seal", "plain-file", filepath.Join(t.TempDir(), "backup")},
		{"seal", "rotate", "--data", data, "--seal", "plain-file"},
		{"trail", "verify", "--data", data, "--seal", "plain-file"},
	} {
		out, err := command(t, args...)
		if err == nil || !strings.Contains(out, "was written by a newer kagimori (format 99; this one knows") {
			t.Errorf("kagimori %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
	after := sums(t, data)
	if len(after) != len(before) {
		t.Errorf("%d files, %d before", len(after), len(before))
	}
	for path, sum := range before {
		if after[path] != sum {
			t.Errorf("%s was changed", path)
		}
	}
}
