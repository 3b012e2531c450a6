package bench

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/xks"
)

const health = `{"xksProxyFleetSize":1,"xksProxyVendor":"v","xksProxyModel":"m","ekmVendor":"e","ekmFleetDetails":[{"id":"1","model":"m","healthStatus":"ACTIVE"}]}`

// BenchmarkXKS is the external key store proxy as AWS KMS sees it, over TLS, beside a bare handler
// that verifies signatures. KMS waits 250 ms for an answer: "late-%" is how many it would give up on,
// "p99-ms" what 99 of 100 stay below, "x-bare" how many times the time of the bare handler a request
// takes.
func BenchmarkXKS(b *testing.B) {
	srv := testkit.Start(b, testkit.Options{Durable: true, Logger: slog.New(slog.DiscardHandler)})
	admin := srv.As(testkit.Admin(account))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cks.kms.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`
	role := testkit.Call[iamapi.CreateRoleResponse](admin.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("kms"), AssumeRolePolicyDocument: &trust}).Role
	testkit.Must(admin.IAM, "PutRolePolicy", &iamapi.PutRolePolicyRequest{RoleName: new("kms"), PolicyName: new("p"), PolicyDocument: &allow})
	key := newKey(b, admin.KMS.Client)
	cred := testkit.Call[kagimoriapi.CreateXksCredentialResponse](admin.Kagimori, "CreateXksCredential",
		&kagimoriapi.CreateXksCredentialRequest{RoleArn: role.Arn, KeyArns: []string{key}})
	at := &xks.Proxy{Endpoint: "https://example.com", Path: xks.Base, Region: "us-east-1", AccessKeyID: *cred.Credential.AccessKeyId, Secret: *cred.RawSecretAccessKey}
	id := key[strings.LastIndexByte(key, '/')+1:]
	m := xks.RequestMetadata{Principal: "arn:aws:iam::123456789012:user/u", KeyARN: key, Operation: "GenerateDataKey", RequestID: "4112f4d6-db54-4af4-ae30-c55a22a8dfae"}
	proxy := asKMS(b, srv.App.Proxy())
	limit := asKMS(b, bareProxy(cred.RawSecretAccessKey))
	aad, plain := []byte("purpose=bench"), make(secret.Bytes, 73)
	sealed, err := proxy.Encrypt(b.Context(), at, id, m, plain, aad)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := limit.Health(b.Context(), at, m); err != nil {
		b.Fatal(err)
	}
	var base float64
	for _, bc := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"bare", func(ctx context.Context) error { _, err := limit.Health(ctx, at, m); return err }},
		{"Encrypt", func(ctx context.Context) error { _, err := proxy.Encrypt(ctx, at, id, m, plain, aad); return err }},
		{"Decrypt", func(ctx context.Context) error { _, err := proxy.Decrypt(ctx, at, id, m, sealed, aad); return err }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var mu sync.Mutex
			var took []time.Duration
			ctx := b.Context()
			parallel(b, func() error {
				begin := time.Now()
				err := bc.do(ctx)
				d := time.Since(begin)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
				return err
			})
			each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			slices.Sort(took)
			late, _ := slices.BinarySearch(took, xks.Patience)
			b.ReportMetric(100*float64(len(took)-late)/float64(len(took)), "late-%")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			if bc.name == "bare" {
				base = each
			} else if base > 0 {
				b.ReportMetric(each/base, "x-bare")
			}
		})
	}
}

// asKMS is a client of a proxy on a TLS listener, more patient than KMS: what is late is counted.
func asKMS(b *testing.B, h http.Handler) *xks.Client {
	srv := httptest.NewTLSServer(h)
	b.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	out := outbound.New(outbound.Config{Roots: roots, Connect: map[string]string{"example.com": srv.Listener.Addr().String()}})
	b.Cleanup(out.Close)
	return xks.NewClient(xks.ClientConfig{Outbound: out, Patience: time.Minute})
}

func bareProxy(key *secret.String) http.Handler {
	v := sigv4.NewVerifier(sigv4.Config{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = v.Verify(r, body, func(context.Context, string, string) (secret.String, error) { return *key, nil })
		}
		if err != nil {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, health) // a client that went away is no error of ours
	})
}
