// Package xksproxy is an external key store proxy whose keys are kagimori's: AWS KMS can use them
// through it, and so can another kagimori.
//
// KMS proves itself with a credential. Each credential stands for a role of IAM and a list of keys:
// what KMS asks for is asked of the keys by a session of that role, decided by guard and recorded
// like every other request. A key that is not listed does not exist for the credential.
//
// Source of the protocol: AWS KMS External Key Store (XKS) Proxy API Specification, version 1.0.3;
// see package xks.
package xksproxy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// Principal is the service that assumes the roles of credentials: the name by which AWS KMS goes
// where it deals with custom key stores. Trust policies name it.
const Principal = "cks.kms.amazonaws.com"

// Keys is KMS. Each call is decided and recorded.
type Keys interface {
	Describe(ctx context.Context, c *guard.Call, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error)
	Encrypt(ctx context.Context, c *guard.Call, in *kmsapi.EncryptRequest, aad []byte) (xks.Sealed, error)
	Decrypt(ctx context.Context, c *guard.Call, in *kmsapi.DecryptRequest, sealed xks.Sealed, aad []byte) (secret.Bytes, error)
}

// Roles is STS.
type Roles interface {
	AssumeServiceRole(ctx context.Context, parent *guard.Call, service, roleARN, session string) (directory.Identity, error)
}

// Config of a [Service].
type Config struct {
	Guard *guard.Guard
	Keys  Keys
	Roles Roles
	Box   hsm.Box          // seals the secrets of credentials
	Wall  func() time.Time // wall time: sessions end by it
	// Version is the program's, for the health status.
	Version string
	Logger  *slog.Logger
}

// A Service is the proxy and the operations that manage its credentials. Safe for concurrent use.
type Service struct {
	g     *guard.Guard
	cfg   Config
	verif *sigv4.Verifier
	creds *store.Cached[credential, *known]

	mu       sync.Mutex
	sessions map[string]session // by access key id
}

// New makes a Service.
func New(cfg Config) *Service {
	s := &Service{g: cfg.Guard, cfg: cfg, verif: sigv4.NewVerifier(sigv4.Config{}), sessions: map[string]session{}}
	s.creds = store.NewCached(credentialTable, cachedCredentials, s.build)
	return s
}

// Operations are the handlers of the operations of the kagimori service that are about credentials.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateXksCredential": guard.Handle(s.CreateXksCredential),
		"ListXksCredentials":  guard.Handle(s.ListXksCredentials),
		"DeleteXksCredential": guard.HandleVoid(s.DeleteXksCredential),
	}
}

// A session is what a credential acts as, for a while.
type session struct {
	id    directory.Identity
	role  string
	until time.Time
}

// sessionTime is how long a session is used: for so long the trust policy of a role is not asked
// again. Its permissions, and whether it still exists, are looked up at every request.
const sessionTime = 5 * time.Minute

// as is the identity that a credential acts as.
func (s *Service) as(ctx context.Context, c *guard.Call, k *known) (directory.Identity, error) {
	now := s.cfg.Wall()
	s.mu.Lock()
	have, ok := s.sessions[k.AccessKeyID]
	s.mu.Unlock()
	if ok && have.role == k.Role && now.Before(have.until) {
		return have.id, nil
	}
	id, err := s.cfg.Roles.AssumeServiceRole(ctx, c, Principal, k.Role, "xks-"+k.AccessKeyID)
	if err != nil {
		return id, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= cachedCredentials {
		clear(s.sessions)
	}
	s.sessions[k.AccessKeyID] = session{id, k.Role, now.Add(sessionTime)}
	return id, nil
}
