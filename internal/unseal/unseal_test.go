package unseal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/unseal"
)

const keyARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// file writes a file for a test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParse(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pass := file(t, "pass", "correct horse\r\n")
	const pkcs11 = "pkcs11:token=t;object=k?module-path=/lib/p11.so&pin-source=/run/pin"
	for spec, want := range map[string]soft.Kind{
		"plain-file":              soft.PlainFile,
		"passphrase-file:" + pass: soft.Passphrase,
		"pbkdf2-file:" + pass:     "pbkdf2",
		"age-identity:" + file(t, "id", "# made for a test\n"+id.String()+"\n"): soft.Age,
		"age-recipients:" + file(t, "to", "# one\n\n"+id.Recipient().String()):  soft.Age,
		"age-recipients:" + id.Recipient().String():                             soft.Age,
		"kms:" + keyARN: unseal.KMS,
		"kms:" + keyARN + "@https://kms.example.org": unseal.KMS,
		"kms:" + keyARN + "@http://127.0.0.1:4566":   unseal.KMS,
		"kms:" + keyARN + "@http://[::1]:4566/":      unseal.KMS,
		"kms:" + keyARN + "@http://localhost:4566":   unseal.KMS,
		pkcs11: unseal.PKCS11,
	} {
		l, err := unseal.Config{}.Parse(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
		} else if l.Kind() != want {
			t.Errorf("%s is of kind %q, want %q", spec, l.Kind(), want)
		}
	}
	l, err := unseal.Config{}.Parse("passphrase-file:" + pass)
	if p, ok := l.(soft.PassphraseLock); err != nil || !ok || !p.Passphrase.Equal(secret.Bytes("correct horse")) {
		t.Errorf("the passphrase is not the file's content without the end of its line: %v", err)
	}
}

// What is no seal is refused with a sentence, in which nothing of a file is.
func TestParseRefuses(t *testing.T) {
	const planted = "AGE-SECRET-KEY-1THISISNOTONEBUTLOOKSLIKEIT"
	missing := filepath.Join(t.TempDir(), "missing")
	for spec, want := range map[string]struct {
		usage bool
		text  string
	}{
		"": {true, "is none of plain-file"}, "plain": {true, "is none of"}, "plain-file:x": {true, "is none of"}, "passphrase-file": {true, "is none of"},
		"passphrase-file:": {true, "is none of"}, "vault:x": {true, "is none of"},
		"passphrase-file:" + missing:                                  {false, "the passphrase file " + missing + " cannot be read"},
		"pbkdf2-file:" + file(t, "empty", "\n"):                       {false, "is empty"},
		"age-identity:" + missing:                                     {false, "cannot be read"},
		"age-identity:" + file(t, "bad", "# x\n"+planted):             {false, "line 2 is not an age identity"},
		"age-identity:" + file(t, "none", "# x\n"):                    {false, "there is no age identity"},
		"age-recipients:" + file(t, "badto", planted+"\n"):            {false, "line 1 is not an age recipient"},
		"age-recipients:age1nonsense":                                 {false, "is not an age recipient"},
		"kms:alias/x":                                                 {true, "does not name a KMS key by its ARN"},
		"kms:arn:aws:s3:::bucket":                                     {true, "does not name a KMS key by its ARN"},
		"kms:" + keyARN + "@kms.example.org":                          {true, "does not name an endpoint"},
		"kms:" + keyARN + "@ftp://kms.example.org":                    {true, "does not name an endpoint"},
		"kms:" + keyARN + "@http://kms.example.org":                   {true, "without TLS"},
		"kms:" + keyARN + "@http://127.0.0.1.example.org":             {true, "without TLS"},
		"kms:" + keyARN + "@http://10.0.0.1:4566":                     {true, "without TLS"},
		"pkcs11:token=t":                                              {true, "does not name object, module-path and pin-source"},
		"pkcs11:object=k?module-path=/x&pin-source=/y&pin-value=1234": {true, "comes from a file"},
	} {
		l, err := unseal.Config{}.Parse(spec)
		if err == nil {
			t.Errorf("%q is a lock of kind %q", spec, l.Kind())
			continue
		}
		_, usage := errors.AsType[unseal.UsageError](err)
		if usage != want.usage || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%q: usage %t, %v", spec, usage, err)
		}
		if strings.Contains(err.Error(), planted) {
			t.Errorf("%q: the error has what the file has", spec)
		}
	}
}

func TestAbsolute(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		"plain-file": "plain-file", "passphrase-file:p": "passphrase-file:" + filepath.Join(here, "p"), "pbkdf2-file:/p": "pbkdf2-file:/p",
		"age-identity:a/b": "age-identity:" + filepath.Join(here, "a/b"), "age-recipients:r": "age-recipients:" + filepath.Join(here, "r"),
		"age-recipients:age1xyz": "age-recipients:age1xyz", "kms:" + keyARN: "kms:" + keyARN, "pkcs11:x": "pkcs11:x",
	} {
		if got, err := unseal.Absolute(spec); err != nil || got != want {
			t.Errorf("%s: %q, %v", spec, got, err)
		}
	}
}

// A helper that is not there, or that answers nonsense, is said.
func TestPKCS11Helper(t *testing.T) {
	const uri = "pkcs11:token=t;object=k?module-path=/lib/p11.so&pin-source=/run/pin"
	for name, tt := range map[string]struct{ script, text string }{
		"missing":  {"", "is not installed"},
		"silent":   {"#!/bin/sh\ncat >/dev/null\n", "gave no answer"},
		"nonsense": {"#!/bin/sh\ncat >/dev/null\necho hello\n", "gave no answer"},
		"fails":    {"#!/bin/sh\ncat >/dev/null\necho '{\"error\":\"no token\"}'\n", "no token"},
		"wrong":    {"#!/bin/sh\ncat >/dev/null\necho '{\"wrong\":true}'\n", "does not open"},
	} {
		helper := "kagimori-pkcs11-that-is-nowhere"
		if tt.script != "" {
			helper = file(t, "helper", tt.script)
			if err := os.Chmod(helper, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		l, err := unseal.Config{PKCS11: helper}.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		key := secret.Bytes("0123456789abcdef0123456789abcdef")
		if _, err := l.Wrap(t.Context(), key); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), string(key)) {
			t.Errorf("%s: the key is in the error", name)
		}
	}
}
