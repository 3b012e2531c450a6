package xksproxy

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// A credential is what KMS signs its requests to the proxy with.
type credential struct {
	AccessKeyID string    `json:"accessKeyId"`
	Account     string    `json:"account"`
	Role        string    `json:"role"`             // ARN
	Prefix      string    `json:"prefix,omitempty"` // of the path, "" or "/text"
	Keys        []string  `json:"keys"`             // ARNs
	Created     time.Time `json:"created"`
	Secret      []byte    `json:"secret"` // sealed
}

// A known is a credential ready for use.
type known struct {
	credential
	secret secret.String
	keys   map[string]arn.ARN // by key id
}

// Tables. ownerTable lists the credentials of an account.
var (
	credentialTable = store.Table[credential]{Bucket: "xks/credential", Version: 1} // access key id
	ownerTable      = store.Table[struct{}]{Bucket: "xks/owner", Version: 1}        // account, access key id
)

const (
	maxCredentials    = 50 // of an account
	cachedCredentials = 1000
)

func (s *Service) build(c credential) (*known, error) {
	raw, err := s.cfg.Box.Open(c.Secret, []byte(store.Key(c.Account, c.AccessKeyID)))
	if err != nil {
		return nil, err
	}
	k := &known{credential: c, secret: secret.String(raw), keys: make(map[string]arn.ARN, len(c.Keys))}
	for _, text := range c.Keys {
		a, err := arn.Parse(text)
		if err != nil {
			return nil, err
		}
		k.keys[a.ID()] = a
	}
	return k, nil
}

// CreateXksCredential makes a credential for the proxy, which acts as a role of the account that
// trusts [Principal], on some keys. Its secret is told this once.
func (s *Service) CreateXksCredential(ctx context.Context, c *guard.Call, in *kagimoriapi.CreateXksCredentialRequest) (*kagimoriapi.CreateXksCredentialResponse, error) {
	rec := credential{
		AccessKeyID: newAccessKeyID(), Account: c.Account(), Role: *in.RoleArn, Prefix: api.Val(in.UriPathPrefix),
		Keys: in.KeyArns, Created: s.g.Now().Truncate(time.Millisecond),
	}
	if rec.Prefix != "" && !xks.ValidPrefix(rec.Prefix) {
		return nil, apierr.Validation("UriPathPrefix %q cannot begin the path of an external key store proxy.", rec.Prefix)
	}
	role, err := arn.Parse(rec.Role)
	if err != nil || role.Service != "iam" || role.Type() != "role" || role.Account != rec.Account {
		return nil, apierr.Validation("RoleArn %q is not that of a role of the account %s.", rec.Role, rec.Account)
	}
	ids := map[string]bool{}
	for _, k := range rec.Keys {
		a, err := arn.Parse(k)
		if err != nil || a.Service != "kms" || a.Type() != "key" || !xks.ValidKeyID(a.ID()) {
			return nil, apierr.Validation("%q is not the ARN of a KMS key.", k)
		}
		if ids[a.ID()] {
			return nil, apierr.Validation("There are two keys with the id %s, by which the proxy tells keys apart.", a.ID())
		}
		ids[a.ID()] = true
	}
	plain := newSecret()
	rec.Secret = s.cfg.Box.Seal([]byte(plain), []byte(store.Key(rec.Account, rec.AccessKeyID)))
	out := &kagimoriapi.CreateXksCredentialResponse{Credential: new(rec.show()), RawSecretAccessKey: new(secret.String(plain))}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		pass := authz.PassRole(rec.Role, rec.Account, Principal)
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{part(c), pass}}); err != nil {
			return err
		}
		n := 0
		for _, err := range ownerTable.Scan(tx, rec.Account) {
			if err != nil {
				return err
			}
			n++
		}
		if n >= maxCredentials {
			return apierr.Newf("LimitExceededException", "An account has at most %d credentials for the external key store proxy.", maxCredentials)
		}
		c.Respond(out)
		if err := ownerTable.Put(tx, struct{}{}, rec.Account, rec.AccessKeyID); err != nil {
			return err
		}
		return credentialTable.Put(tx, rec, rec.AccessKeyID)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// newAccessKeyID makes an id of the alphabet and length that KMS takes.
func newAccessKeyID() string {
	var b [12]byte
	rand.Read(b[:])
	return "KXKS" + base32.StdEncoding.EncodeToString(b[:])[:19]
}

// newSecret makes a secret of the alphabet and length that KMS takes.
func newSecret() string {
	var b [33]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// part is the evaluation of an operation on credentials, which are no resources of their own.
func part(c *guard.Call) authz.Part {
	return authz.Part{Action: "kagimori:" + c.Operation, Resource: authz.Resource{ARN: "*", Account: c.Account()}}
}

// show is a credential without its secret.
func (rec *credential) show() kagimoriapi.XksCredential {
	return kagimoriapi.XksCredential{
		AccessKeyId: &rec.AccessKeyID, RoleArn: &rec.Role, KeyArns: slices.Clone(rec.Keys), UriPath: new(rec.Prefix + xks.Base), CreationDate: &rec.Created,
	}
}

// ListXksCredentials lists the account's credentials, without their secrets.
func (s *Service) ListXksCredentials(ctx context.Context, c *guard.Call, _ *kagimoriapi.ListXksCredentialsRequest) (*kagimoriapi.ListXksCredentialsResponse, error) {
	out := &kagimoriapi.ListXksCredentialsResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if _, err := s.g.Allow(tx, c, part(c)); err != nil {
			return err
		}
		out.Credentials = []kagimoriapi.XksCredential{}
		for r, err := range ownerTable.Scan(tx, c.Account()) {
			if err != nil {
				return err
			}
			rec, found, err := credentialTable.Get(tx, r.Key[1])
			if err != nil {
				return err
			}
			if found {
				out.Credentials = append(out.Credentials, rec.show())
			}
		}
		return nil
	})
	return out, err
}

// DeleteXksCredential deletes a credential of the account. It opens nothing from then on.
func (s *Service) DeleteXksCredential(ctx context.Context, c *guard.Call, in *kagimoriapi.DeleteXksCredentialRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		if _, err := s.g.Allow(tx, c, part(c)); err != nil {
			return err
		}
		rec, found, err := credentialTable.Get(tx, *in.AccessKeyId)
		if err != nil {
			return err
		}
		if !found || rec.Account != c.Account() {
			return apierr.Newf("ResourceNotFoundException", "The account has no credential %s for the external key store proxy.", *in.AccessKeyId)
		}
		if err := ownerTable.Delete(tx, rec.Account, rec.AccessKeyID); err != nil {
			return err
		}
		return credentialTable.Delete(tx, rec.AccessKeyID)
	})
}
