// Package unseal makes the locks of a seal of what an operator writes on a command line:
//
//	plain-file                       no protection: the key lies in the seal file
//	passphrase-file:PATH             the passphrase is the file's content; age with scrypt
//	pbkdf2-file:PATH                 the same with PBKDF2 and AES-256-GCM, which are approved for FIPS
//	age-identity:PATH                identities of age, or of its plugins: they open, and seal to their recipients
//	age-recipients:PATH or age1...   seals to recipients whose identities are elsewhere; opens nothing
//	kms:KEY-ARN[@URL]                another KMS, with the ordinary AWS credentials of the environment
//	pkcs11:...                       a token, by an RFC 7512 URI: token, object, module-path, pin-source
//
// What is read of a file is read each time the lock is made, and kept in memory only as long as the
// lock is.
package unseal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// Config is what locks need of their surroundings.
type Config struct {
	// Credentials are those for another KMS; asked for only where a lock needs them.
	Credentials func() (sigv4.Credentials, error)
	// HTTP sends requests to another KMS; nil is http.DefaultClient.
	HTTP *http.Client
	// Endpoint is that of another KMS whose lock names none; empty is AWS's own.
	Endpoint string
	// PKCS11 is the helper program that opens tokens; empty is "kagimori-pkcs11" beside this program
	// or on the path.
	PKCS11 string
}

// Usage lists the forms for a sentence.
const Usage = "plain-file, passphrase-file:PATH, pbkdf2-file:PATH, age-identity:PATH, age-recipients:PATH, kms:KEY-ARN[@URL] or pkcs11:URI"

// A UsageError is about a text that is not one of the forms.
type UsageError string

// Error is the sentence.
func (e UsageError) Error() string { return string(e) }

// Parse makes a lock. Errors that are no [UsageError] are of files that cannot be used.
func (c Config) Parse(spec string) (soft.Lock, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	usage := UsageError(fmt.Sprintf("%q is none of %s", spec, Usage))
	if rest == "" && spec != string(soft.PlainFile) {
		return nil, usage
	}
	switch kind {
	case string(soft.PlainFile):
		if spec != kind {
			return nil, usage
		}
		return soft.PlainLock{}, nil
	case "passphrase-file":
		pass, err := passphrase(rest)
		return soft.PassphraseLock{Passphrase: pass}, err
	case "pbkdf2-file":
		pass, err := passphrase(rest)
		return soft.PBKDF2Lock{Passphrase: pass}, err
	case "age-identity":
		text, err := read("age identity file", rest)
		if err != nil {
			return nil, err
		}
		defer clear(text)
		l, err := soft.ParseAgeIdentities(string(text))
		if err != nil {
			return nil, fmt.Errorf("the age identity file %s: %w", rest, err)
		}
		return l, nil
	case "age-recipients":
		return recipients(rest)
	case "kms":
		return c.newKMS(rest)
	case "pkcs11":
		return c.newPKCS11(spec)
	}
	return nil, usage
}

func recipients(rest string) (soft.Lock, error) {
	text, name := []byte(rest), rest
	if !strings.HasPrefix(rest, "age1") {
		var err error
		if text, err = read("age recipients file", rest); err != nil {
			return nil, err
		}
		name = "the age recipients file " + rest
	}
	l, err := soft.ParseAgeRecipients(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// Absolute makes the path in a form absolute, for a process with another working directory.
func Absolute(spec string) (string, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case kind == "passphrase-file", kind == "pbkdf2-file", kind == "age-identity",
		kind == "age-recipients" && !strings.HasPrefix(rest, "age1"):
		path, err := filepath.Abs(rest)
		return kind + ":" + path, err
	}
	return spec, nil
}

func passphrase(path string) (secret.Bytes, error) {
	data, err := read("passphrase file", path)
	if err != nil {
		return nil, err
	}
	if data = bytes.TrimRight(data, "\r\n"); len(data) == 0 {
		return nil, fmt.Errorf("the passphrase file %s is empty", path)
	}
	return data, nil
}

func read(what, path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if err != nil {
		return nil, fmt.Errorf("the %s %s cannot be read: %w", what, path, err)
	}
	return data, nil
}
