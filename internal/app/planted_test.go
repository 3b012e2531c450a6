package app_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/telemetry"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

// planted are secrets by name, looked for as they are, in hexadecimal and in base64.
type planted map[string][]byte

func (p planted) search(t *testing.T, where string, data []byte) {
	t.Helper()
	for name, s := range p {
		if len(s) < 16 {
			t.Fatalf("%s is too short to be looked for", name)
		}
		for form, needle := range map[string]string{
			"": string(s), " in hexadecimal": hex.EncodeToString(s), " in base64": strings.TrimRight(base64.StdEncoding.EncodeToString(s[:len(s)/3*3]), "="),
		} {
			if bytes.Contains(data, []byte(needle)) {
				t.Errorf("%s has the %s%s", where, name, form)
			}
		}
	}
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// No secret of a server's life is found in what it writes: the log at its most talkative, errors,
// audit records, and every file but the one that is there to hand the first credentials over.
func TestNoSecretIsWritten(t *testing.T) {
	log := &lockedBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := newMirror(t)
	figures, spans := telemetry.NewMetrics("v9"), tracetest.NewInMemoryExporter()
	tracer := telemetry.NewTracesTo(spans, telemetry.TraceConfig{Ratio: 1})
	taken, sent := t.TempDir(), &lockedBuffer{}
	hook := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(sent, r.Header)
		_, _ = io.Copy(sent, r.Body)
	}))
	defer hook.Close()
	s := testkit.Start(t, testkit.Options{Logger: logger, Configure: func(cfg *app.Config) {
		forReal(cfg)
		m.configure(cfg)
		cfg.Sinks = plantedSinks(t, taken, hook)
		cfg.Outbound.Connect["127.0.0.1"] = hook.Listener.Addr().String()
		cfg.Watch, cfg.Committed = telemetry.Both(figures.Watch, tracer.Watch), figures.Commit
	}})
	p := planted{"passphrase padded": []byte("open sesame open sesame"), "secret of a webhook": []byte(hookSecret)}
	root := credentials(t, s.Data())
	p["secret access key of root"] = []byte(root.Secret.Reveal())
	c := s.As(root)
	var answers bytes.Buffer // of errors, and of calls that answer with no secret
	scenario(t, s, c, p, &answers)
	note := func(v any) { fmt.Fprintf(&answers, "%+v\n", v) }
	plantXKS(t, s, c, m, p, note)
	plantMore(t, c, p, note)

	seal, err := os.ReadFile(filepath.Join(s.Data(), "seal.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Slots []soft.Slot }
	if err := json.Unmarshal(seal, &f); err != nil || len(f.Slots) != 1 {
		t.Fatal(err)
	}
	key, err := soft.PassphraseLock{Passphrase: []byte("open sesame")}.Unwrap(t.Context(), f.Slots[0])
	if err != nil {
		t.Fatal(err)
	}
	p["seal key"] = key
	recs, err := s.App.Records(t.Context(), trail.Filter{})
	if err != nil || len(recs) < 10 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	p.search(t, "the audit log", asJSON(t, recs))
	p.search(t, "an answer", answers.Bytes())
	text := httptest.NewRecorder()
	figures.Handler().ServeHTTP(text, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	p.search(t, "the figures", text.Body.Bytes())
	if traces := fmt.Appendf(nil, "%+v", spans.GetSpans()); len(spans.GetSpans()) < 10 {
		t.Errorf("%d spans", len(spans.GetSpans()))
	} else {
		p.search(t, "the traces", traces)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	o, err := app.OpenSealer(t.Context(), app.Config{Data: s.Data(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	takeBackup(t, o, backup)
	if _, err := o.Rotate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	s.Stop()
	files := 0
	forEachFile(t, s.Data(), func(path string, data []byte) {
		if filepath.Base(path) != "root-credentials" {
			p.search(t, path, data)
			files++
		}
	})
	if files < 4 {
		t.Errorf("only %d files were searched", files)
	}
	for where, data := range map[string][]byte{"a sink's file": readFile(t, filepath.Join(taken, "audit.jsonl")), "a webhook's requests": sent.b.Bytes()} {
		if n := bytes.Count(data, []byte(`"eventName"`)); n < len(recs) {
			t.Errorf("%s: %d of %d records", where, n, len(recs))
		}
		p.search(t, where, data)
	}
	p.search(t, "the log", log.b.Bytes())
	if bytes.Contains(log.b.Bytes(), []byte("open sesame")) {
		t.Error("the log has the passphrase")
	}
	if log.b.Len() == 0 {
		t.Error("the log is empty")
	}
}

const hookSecret = "the secret of a webhook's signature"

// plantedSinks are a file in a folder and a webhook.
func plantedSinks(t *testing.T, dir string, hook *httptest.Server) []sink.Spec {
	t.Helper()
	key := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(key, []byte(hookSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	var out []sink.Spec
	for _, text := range []string{"file,path=" + filepath.Join(dir, "audit.jsonl"), "webhook,url=https://127.0.0.1/hook,secret-file=" + key} {
		s, err := sink.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// scenario makes and uses secrets of all sorts, and notes them.
func scenario(t *testing.T, s *testkit.Server, c testkit.Clients, p planted, answers *bytes.Buffer) {
	t.Helper()
	note := func(v any) { fmt.Fprintf(answers, "%+v\n", v) }
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	p["plaintext"] = []byte("a plaintext that nobody shall see")
	enc := testkit.Call[kmsapi.EncryptResponse](c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: p["plaintext"]})
	note(enc)
	testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: enc.CiphertextBlob})
	p["data key"] = testkit.Call[kmsapi.GenerateDataKeyResponse](c.KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: key.KeyId, NumberOfBytes: new(int32(32))}).Plaintext
	pair := testkit.Call[kmsapi.GenerateDataKeyPairResponse](c.KMS, "GenerateDataKeyPair", &kmsapi.GenerateDataKeyPairRequest{KeyId: key.KeyId, KeyPairSpec: new("ECC_NIST_P256")})
	p["private key of a data key pair"] = pair.PrivateKeyPlaintext
	p["random bytes"] = testkit.Call[kmsapi.GenerateRandomResponse](c.KMS, "GenerateRandom", &kmsapi.GenerateRandomRequest{NumberOfBytes: new(int32(32))}).Plaintext
	note(testkit.Refused(c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: new("alias/none"), Plaintext: p["plaintext"]}))
	note(testkit.Refused(c.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: bytes.Repeat(p["plaintext"], 200)}))

	p["imported material"] = bytes.Repeat([]byte("imported"), 4)
	ext := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Origin: new("EXTERNAL")}).KeyMetadata
	params := testkit.Call[kmsapi.GetParametersForImportResponse](c.KMS, "GetParametersForImport", &kmsapi.GetParametersForImportRequest{
		KeyId: ext.KeyId, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048"),
	})
	public, err := x509.ParsePKIXPublicKey(params.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), p["imported material"], nil)
	if err != nil {
		t.Fatal(err)
	}
	note(testkit.Call[kmsapi.ImportKeyMaterialResponse](c.KMS, "ImportKeyMaterial", &kmsapi.ImportKeyMaterialRequest{
		KeyId: ext.KeyId, ImportToken: params.ImportToken, EncryptedKeyMaterial: wrapped, ExpirationModel: new("KEY_MATERIAL_DOES_NOT_EXPIRE"),
	}))
	testkit.Call[kmsapi.GenerateDataKeyResponse](c.KMS, "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: ext.KeyId, NumberOfBytes: new(int32(32))})

	testkit.Must(c.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: new("someone")})
	access := testkit.Call[iamapi.CreateAccessKeyResponse](c.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("someone")}).AccessKey
	p["secret access key"] = []byte(access.SecretAccessKey.Reveal())
	user := s.As(sigv4.Credentials{AccessKeyID: *access.AccessKeyId, Secret: *access.SecretAccessKey})
	note(testkit.Refused(user.KMS, "Encrypt", &kmsapi.EncryptRequest{KeyId: key.KeyId, Plaintext: p["plaintext"]}))
	session := testkit.Call[stsapi.GetSessionTokenResponse](user.STS, "GetSessionToken", &stsapi.GetSessionTokenRequest{}).Credentials
	p["secret access key of a session"] = []byte(session.SecretAccessKey.Reveal())
	p["session token"] = []byte(*session.SessionToken)
	temporary := s.As(sigv4.Credentials{AccessKeyID: *session.AccessKeyId, Secret: *session.SecretAccessKey, SessionToken: *session.SessionToken})
	note(testkit.Refused(temporary.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: enc.CiphertextBlob}))
	wrong := guessed(sigv4.Credentials{AccessKeyID: *access.AccessKeyId})
	p["wrong secret"] = []byte(wrong.Secret.Reveal())
	note(testkit.Refused(s.As(wrong).STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}))
}

// guessed has a secret that is none.
func guessed(c sigv4.Credentials) sigv4.Credentials {
	c.Secret = secret.String("a secret that is wrong but secret")
	return c
}
