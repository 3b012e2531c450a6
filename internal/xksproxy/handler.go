package xksproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// patience bounds the work of one request. KMS has long given up by then.
const patience = 2 * time.Second

// ServeHTTP answers KMS.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	out, err := s.serve(ctx, r.WithContext(ctx))
	status, body := http.StatusOK, []byte(nil)
	if err == nil {
		body, err = json.Marshal(out)
	}
	if errors.Is(err, errMethod) {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if err != nil {
		e := s.refusal(ctx, err)
		status, body = e.Status(), e.Body()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no error of ours
}

var errMethod = errors.New("xksproxy: not a POST")

// serve authenticates a request and does what it asks for.
func (s *Service) serve(ctx context.Context, r *http.Request) (any, error) {
	t, ok := xks.ParsePath(r.URL.EscapedPath())
	if !ok || r.URL.RawQuery != "" {
		return nil, xks.Fail(xks.InvalidURIPath, "the path is not one of the protocol")
	}
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, xks.MaxBody+1))
	switch {
	case err != nil:
		return nil, xks.Fail(xks.Validation, "the body cannot be read")
	case len(body) > xks.MaxBody:
		return nil, xks.Fail(xks.Validation, "the body is too long")
	}
	k, err := s.authenticate(ctx, r, body)
	switch {
	case err != nil:
		return nil, err
	case t.Prefix != k.Prefix:
		return nil, xks.Fail(xks.InvalidURIPath, "the path is not that of the credential")
	case t.Operation == xks.GetHealthStatus:
		if _, err := xks.ParseHealth(body); err != nil {
			return nil, err
		}
		return s.health(), nil
	}
	key, listed := k.keys[t.Key]
	if !listed {
		return nil, xks.Fail(xks.KeyNotFound, "the credential has no such key")
	}
	a := asked{s: s, credential: k, key: key, from: r}
	switch t.Operation {
	case xks.GetKeyMetadata:
		return a.metadata(ctx, body)
	case xks.Encrypt:
		return a.encrypt(ctx, body)
	}
	return a.decrypt(ctx, body)
}

// authenticate finds the credential that signed a request.
func (s *Service) authenticate(ctx context.Context, r *http.Request, body []byte) (*known, error) {
	var k *known
	got, err := s.verif.Verify(r, body, func(ctx context.Context, id, token string) (secret.String, error) {
		unknown := &sigv4.Error{Kind: sigv4.UnknownKey}
		if token != "" {
			return "", unknown
		}
		err := s.g.Read(ctx, func(tx store.Tx) (err error) {
			k, _, err = s.creds.Shared(tx, id)
			return err
		})
		switch {
		case err != nil:
			return "", err
		case k == nil:
			return "", unknown
		}
		return k.secret, nil
	})
	if _, unauthenticated := errors.AsType[*sigv4.Error](err); unauthenticated || err == nil && got.Service != xks.SigningName {
		return nil, xks.Fail(xks.AuthenticationFailed, "the request is not signed by a credential of this proxy")
	}
	return k, err
}

// health is the status of the one process that is proxy and key manager. Whoever can ask has made
// it read its store and open what the root key seals.
func (s *Service) health() xks.Health {
	model := "kagimori " + s.cfg.Version
	return xks.Health{
		FleetSize: 1, Vendor: "kagimori", Model: model, EKMVendor: "kagimori",
		Fleet: []xks.Fleet{{ID: "kagimori", Model: model, Status: "ACTIVE"}},
	}
}

// An asked is a request about a key.
type asked struct {
	s          *Service
	credential *known
	key        arn.ARN
	from       *http.Request
}

// call is the request as one of KMS's operations, by the role of the credential.
func (a *asked) call(ctx context.Context, op string, m *xks.RequestMetadata) (*guard.Call, error) {
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: op, Region: a.key.Region, Time: a.s.g.Now(), ReadOnly: true,
		Caller: guard.Caller{UserAgent: Principal, Secure: true, SourceAccount: a.credential.Account},
	}
	c.Caller.SourceIP, _, _ = net.SplitHostPort(a.from.RemoteAddr)
	id, err := a.s.as(ctx, c, a.credential)
	if err != nil {
		return nil, err
	}
	c.Caller.Identity, c.Caller.InvokedBy, c.Caller.SourceAccount = id, Principal, "" // from here on the role asks
	c.Note("externalKeyStore", shortened(m))
	return c, nil
}

// shortened is what KMS says of its own request, for the record.
func shortened(m *xks.RequestMetadata) map[string]string {
	out := map[string]string{}
	for name, v := range map[string]string{
		"awsPrincipalArn": m.Principal, "kmsKeyArn": m.KeyARN, "kmsOperation": m.Operation, "kmsRequestId": m.RequestID, "kmsViaService": m.Via,
		"awsSourceVpc": m.SourceVPC, "awsSourceVpce": m.Endpoint,
	} {
		if v != "" {
			out[name] = v[:min(len(v), 256)]
		}
	}
	return out
}

func (a *asked) metadata(ctx context.Context, body []byte) (any, error) {
	in, err := xks.ParseMetadata(body)
	if err != nil {
		return nil, err
	}
	c, err := a.call(ctx, "DescribeKey", &in.Metadata)
	if err != nil {
		return nil, err
	}
	out, err := a.s.cfg.Keys.Describe(ctx, c, &kmsapi.DescribeKeyRequest{KeyId: new(a.key.String())})
	if err != nil {
		return nil, err
	}
	m := out.KeyMetadata
	k := xks.KeyMetadata{Spec: *m.KeySpec, Usage: []string{*m.KeyUsage}, Status: xks.Disabled}
	if *m.Enabled {
		k.Status = xks.Enabled
	}
	switch {
	case *m.Origin == kmsapi.OriginTypeEXTERNAL_KEY_STORE: // see kms.DecryptDetached
		k.Spec = *m.Origin
	case *m.KeySpec == kmsapi.KeySpecSYMMETRIC_DEFAULT:
		k.Spec, k.Usage = xks.AES256, []string{xks.UsageEncrypt, xks.UsageDecrypt}
	}
	return k, nil
}

func (a *asked) encrypt(ctx context.Context, body []byte) (any, error) {
	in, err := xks.ParseEncrypt(body)
	if err != nil {
		return nil, err
	}
	defer secret.Bytes(in.Plaintext).Wipe()
	c, err := a.call(ctx, "Encrypt", &in.Metadata)
	if err != nil {
		return nil, err
	}
	sealed, err := a.s.cfg.Keys.Encrypt(ctx, c, &kmsapi.EncryptRequest{KeyId: new(a.key.String()), Plaintext: in.Plaintext}, in.AAD)
	if err != nil {
		return nil, err
	}
	return in.Sealed(sealed), nil
}

func (a *asked) decrypt(ctx context.Context, body []byte) (any, error) {
	in, err := xks.ParseDecrypt(body)
	if err != nil {
		return nil, err
	}
	c, err := a.call(ctx, "Decrypt", &in.Metadata)
	if err != nil {
		return nil, err
	}
	plain, err := a.s.cfg.Keys.Decrypt(ctx, c, &kmsapi.DecryptRequest{KeyId: new(a.key.String())}, in.Sealed(), in.AAD)
	if err != nil {
		return nil, err
	}
	return xks.DecryptResponse{Plaintext: plain}, nil
}

// failures are the protocol's words for KMS's. Whatever is not here is the proxy's own problem.
var failures = map[string]xks.Failure{
	"AccessDenied": xks.AccessDenied, "AccessDeniedException": xks.AccessDenied, "NotFoundException": xks.KeyNotFound,
	"DisabledException": xks.InvalidState, "KMSInvalidStateException": xks.InvalidState, "InvalidKeyUsageException": xks.InvalidKeyUsage,
	"InvalidCiphertextException": xks.InvalidCiphertext, "IncorrectKeyException": xks.InvalidCiphertext, "ThrottlingException": xks.Throttling,
	"UnsupportedOperationException": xks.Unsupported, "ValidationException": xks.Validation,
}

// refusal is an error as KMS is told of it. The words of a refused decision stay here: their place
// is the trail.
func (s *Service) refusal(ctx context.Context, err error) *xks.Error {
	if e, ok := errors.AsType[*xks.Error](err); ok {
		return e
	}
	if f, ok := failures[apierr.Code(err)]; ok {
		return xks.Fail(f, "see the audit log of the proxy")
	}
	if ctx.Err() != nil {
		return xks.Fail(xks.DependencyTimeout, "")
	}
	s.cfg.Logger.Error("a request of the external key store proxy failed", "error", err)
	return xks.Fail(xks.Internal, "see the log of the proxy")
}
