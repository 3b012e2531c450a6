// Command kagimori-pkcs11 opens the slot of a kagimori seal with a PKCS#11 token. It is a module and a
// process of its own: the vendor's library, in C, runs here and never in the server.
//
// It reads one JSON request from standard input and writes one JSON answer to standard output; see
// package unseal of kagimori. The key is an AES key on the token that never leaves it (CKA_SENSITIVE,
// not CKA_EXTRACTABLE); it is made at the first wrap if there is none. What it wraps is encrypted by
// CKM_AES_GCM: nonce (12 random bytes), then ciphertext and tag.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/miekg/pkcs11"
)

type request struct {
	Op   string `json:"op"`
	URI  string `json:"uri"`
	Data []byte `json:"data"`
}

type answer struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
	Wrong bool   `json:"wrong,omitempty"`
}

func main() {
	a := serve(os.Stdin)
	line, err := json.Marshal(a)
	if err != nil {
		os.Exit(1)
	}
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		os.Exit(1)
	}
}

// errWrong: the token's key did not make the data.
var errWrong = errors.New("not of this key")

func serve(in io.Reader) answer {
	line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadBytes('\n')
	var r request
	if err != nil || json.Unmarshal(line, &r) != nil {
		return answer{Error: "not a request"}
	}
	clear(line)
	out, err := do(r)
	switch {
	case errors.Is(err, errWrong):
		return answer{Wrong: true}
	case err != nil:
		return answer{Error: err.Error()}
	}
	return answer{Data: out}
}

// A target is what a URI names. Source: RFC 7512, sections 2.3 and 2.4.
type target struct{ token, object, module, pinFile string }

func parse(uri string) (t target, err error) {
	rest, ok := strings.CutPrefix(uri, "pkcs11:")
	if !ok {
		return t, errors.New("not a PKCS#11 URI")
	}
	path, query, _ := strings.Cut(rest, "?")
	set := func(part string) error {
		name, value, _ := strings.Cut(part, "=")
		if value, err = url.PathUnescape(value); err != nil {
			return errors.New("the PKCS#11 URI is not well-formed")
		}
		switch name {
		case "token":
			t.token = value
		case "object":
			t.object = value
		case "module-path":
			t.module = value
		case "pin-source":
			t.pinFile = strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		case "type":
			if value != "secret-key" {
				return errors.New("the PKCS#11 URI names no secret key")
			}
		default:
			return fmt.Errorf("the PKCS#11 URI has %q, which is not supported", name)
		}
		return nil
	}
	for _, part := range append(strings.Split(path, ";"), strings.Split(query, "&")...) {
		if part == "" {
			continue
		}
		if err := set(part); err != nil {
			return t, err
		}
	}
	if t.object == "" || t.module == "" || t.pinFile == "" {
		return t, errors.New("the PKCS#11 URI names no object, module-path or pin-source")
	}
	return t, nil
}

func do(r request) ([]byte, error) {
	t, err := parse(r.URI)
	if err != nil {
		return nil, err
	}
	if r.Op != "wrap" && r.Op != "unwrap" {
		return nil, errors.New("not a request")
	}
	pin, err := os.ReadFile(t.pinFile)
	if err != nil {
		return nil, fmt.Errorf("the PIN cannot be read: %w", err)
	}
	defer clear(pin)
	ctx := pkcs11.New(t.module)
	if ctx == nil {
		return nil, fmt.Errorf("the library %s cannot be loaded", t.module)
	}
	defer ctx.Destroy()
	if err := ctx.Initialize(); err != nil {
		return nil, said("the library does not start", err)
	}
	defer func() { _ = ctx.Finalize() }()
	slot, err := find(ctx, t.token)
	if err != nil {
		return nil, err
	}
	session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, said("no session with the token", err)
	}
	defer func() { _ = ctx.CloseSession(session) }()
	if err := ctx.Login(session, pkcs11.CKU_USER, string(bytes.TrimRight(pin, "\r\n"))); err != nil {
		return nil, said("the token does not take the PIN", err)
	}
	key, err := keyOf(ctx, session, t.object, r.Op == "wrap")
	if err != nil {
		return nil, err
	}
	if r.Op == "wrap" {
		return wrap(ctx, session, key, r.Data)
	}
	return unwrap(ctx, session, key, r.Data)
}

// said puts an error of the library into a sentence.
func said(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }

// find is the slot of the token with the label; with an empty label, of the only token.
func find(ctx *pkcs11.Ctx, label string) (uint, error) {
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return 0, said("the library lists no tokens", err)
	}
	var found []uint
	for _, s := range slots {
		info, err := ctx.GetTokenInfo(s)
		if err == nil && info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && (label == "" || info.Label == label) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d tokens are named %q", len(found), label)
	}
	return found[0], nil
}

// keyOf is the AES key with the label, made if it may be and there is none.
func keyOf(ctx *pkcs11.Ctx, session pkcs11.SessionHandle, label string, mayMake bool) (pkcs11.ObjectHandle, error) {
	named := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}
	if err := ctx.FindObjectsInit(session, named); err != nil {
		return 0, said("the token finds no keys", err)
	}
	found, _, err := ctx.FindObjects(session, 2)
	if err := errors.Join(err, ctx.FindObjectsFinal(session)); err != nil {
		return 0, said("the token finds no keys", err)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("several keys are named %q", label)
	case !mayMake:
		return 0, fmt.Errorf("the token has no AES key %q", label)
	}
	made, err := ctx.GenerateKey(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	})
	if err != nil {
		return 0, said("the token makes no key", err)
	}
	return made, nil
}

const (
	nonceSize = 12
	tagBits   = 128
)

// context is associated data: nothing else that the key encrypts can be taken for a seal key.
var context = []byte("kagimori seal key")

func wrap(ctx *pkcs11.Ctx, session pkcs11.SessionHandle, key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	gcm := pkcs11.NewGCMParams(nonce, context, tagBits)
	defer gcm.Free()
	if err := ctx.EncryptInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, gcm)}, key); err != nil {
		return nil, said("the token does not encrypt", err)
	}
	sealed, err := ctx.Encrypt(session, data)
	if err != nil {
		return nil, said("the token does not encrypt", err)
	}
	used := gcm.IV() // a token may choose its own
	if len(used) != nonceSize {
		return nil, errors.New("the token chose a nonce of another length")
	}
	return append(bytes.Clone(used), sealed...), nil
}

func unwrap(ctx *pkcs11.Ctx, session pkcs11.SessionHandle, key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	if len(data) < nonceSize+tagBits/8 {
		return nil, errWrong
	}
	gcm := pkcs11.NewGCMParams(data[:nonceSize], context, tagBits)
	defer gcm.Free()
	if err := ctx.DecryptInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, gcm)}, key); err != nil {
		return nil, said("the token does not decrypt", err)
	}
	out, err := ctx.Decrypt(session, data[nonceSize:])
	if err != nil {
		if e, ok := errors.AsType[pkcs11.Error](err); ok {
			switch e {
			case pkcs11.CKR_ENCRYPTED_DATA_INVALID, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE, pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
				return nil, errWrong
			}
		}
		return nil, said("the token does not decrypt", err)
	}
	return out, nil
}
