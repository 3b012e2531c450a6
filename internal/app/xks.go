package app

import (
	"context"
	"net/http"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/xks"
)

// proxyKeys is KMS as the external key store proxy calls it: each request is decided and recorded
// like one of a client.
type proxyKeys struct {
	g   *guard.Guard
	kms *kms.Service
	// recorded refuses what the audit log could not take.
	recorded func() error
}

// Describe is kms:DescribeKey.
func (k proxyKeys) Describe(ctx context.Context, c *guard.Call, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	if err := k.recorded(); err != nil {
		return nil, err
	}
	return guard.InvokeOp(ctx, k.g, c, in, k.kms.DescribeKey)
}

// Encrypt is kms:Encrypt.
func (k proxyKeys) Encrypt(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest, aad []byte) (xks.Sealed, error) {
	if err := k.recorded(); err != nil {
		return xks.Sealed{}, err
	}
	out, err := guard.InvokeOp(ctx, k.g, c, in, func(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest) (*xks.Sealed, error) {
		sealed, err := k.kms.EncryptDetached(ctx, c, in, aad)
		return &sealed, err
	})
	if err != nil {
		return xks.Sealed{}, err
	}
	return *out, nil
}

// Decrypt is kms:Decrypt.
func (k proxyKeys) Decrypt(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest, sealed xks.Sealed, aad []byte) (plain secret.Bytes, err error) {
	if err := k.recorded(); err != nil {
		return nil, err
	}
	err = guard.InvokeVoid(ctx, k.g, c, in, func(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest) (err error) {
		plain, err = k.kms.DecryptDetached(ctx, c, in, sealed, aad)
		return err
	})
	return plain, err
}

// Proxy answers as an external key store proxy, for a listener of its own.
func (a *App) Proxy() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.withServer(w, func(s *server) { s.proxy.ServeHTTP(w, r) })
	})
}
