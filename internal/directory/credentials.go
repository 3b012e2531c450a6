package directory

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// DevSecret is the secret of every development access key.
const DevSecret = "test"

// Development accounts: access key "test" is the root user of the first, which also manages the
// organization that all accounts of a development server are in.
const (
	DevAccount      = "000000000000"
	DevOrganization = "o-kagimori00"
	devRoot         = "r-kgmr"
)

// Lookup finds the secret and the identity behind an access key id and, for temporary
// credentials, a session token. It fails with ErrUnknownAccessKey, ErrInvalidToken or
// ErrExpiredToken. In development the keys 123456789012 (root user of that account),
// 123456789012ADMIN (its user admin) and test exist. It is Find and Admit together, for who needs
// no proof that the caller has the secret.
func (d *Directory) Lookup(ctx context.Context, accessKeyID, token string) (secret.String, Identity, error) {
	s, id, err := d.Find(ctx, accessKeyID, token)
	if err == nil {
		id, err = d.Admit(ctx, id)
	}
	if err != nil {
		return "", Identity{}, err
	}
	return s, id, nil
}

// Find is Lookup before the caller proved to have the secret: it writes nothing. Give the identity
// to Admit after the proof.
func (d *Directory) Find(ctx context.Context, accessKeyID, token string) (secret.String, Identity, error) {
	if token != "" {
		return d.lookupSession(ctx, accessKeyID, token)
	}
	if d.cfg.Dev {
		if s, id, err := d.lookupDev(ctx, accessKeyID); !errors.Is(err, ErrUnknownAccessKey) {
			return s, id, err
		}
	}
	o, err := d.ownerOf(ctx, accessKeyID, "")
	if err != nil {
		return "", Identity{}, err
	}
	plain, err := d.cfg.Keys.Open(o.sealed, []byte(o.id.AccessKeyID)) // each time: in clear it stays nowhere
	if err != nil {
		return "", Identity{}, fmt.Errorf("directory: secret of access key: %w", err)
	}
	return secret.String(plain), o.id, nil
}

// isOpen reports whether an account was not closed.
func (d *Directory) isOpen(tx store.Tx, account string) (bool, error) {
	shut, err := d.isShut(tx, account)
	return !shut && err == nil, err
}

// devKey is whom a development access key means.
func devKey(accessKeyID string) (account string, admin, ok bool) {
	account, admin = strings.CutSuffix(accessKeyID, "ADMIN")
	if accessKeyID == "test" {
		account = DevAccount
	}
	return account, admin, arn.IsAccount(account)
}

// lookupDev finds a development identity. A user admin that was not made yet has no unique id.
func (d *Directory) lookupDev(ctx context.Context, accessKeyID string) (secret.String, Identity, error) {
	account, admin, ok := devKey(accessKeyID)
	if !ok {
		return "", Identity{}, ErrUnknownAccessKey
	}
	if !admin {
		id := d.rootIdentity(account)
		id.AccessKeyID = accessKeyID
		return DevSecret, id, nil
	}
	o, err := d.ownerOf(ctx, accessKeyID, account)
	if err != nil {
		return "", Identity{}, err
	}
	return DevSecret, o.id, nil
}

// Admit is the identity of a caller that proved to have the secret; of an account that was closed nobody
// is let in. In development it remembers the
// account and makes its user admin where they are used first.
func (d *Directory) Admit(ctx context.Context, id Identity) (Identity, error) {
	if !id.Open {
		if err := d.open(ctx, id.Principal.Account); err != nil {
			return Identity{}, err
		}
	}
	id.Open = false // of this moment
	account, admin, ok := devKey(id.AccessKeyID)
	if !d.cfg.Dev || !ok || id.Session != nil {
		return id, nil
	}
	if err := d.see(ctx, account); err != nil {
		return Identity{}, err
	}
	if !admin || id.Principal.UniqueID != "" {
		return id, nil
	}
	made, err := d.devAdmin(ctx, account)
	if err != nil {
		return Identity{}, err
	}
	made.AccessKeyID = id.AccessKeyID
	return made, nil
}

// devAdmin is the user admin of an account, made when first seen.
func (d *Directory) devAdmin(ctx context.Context, account string) (id Identity, err error) {
	read := func(tx store.Tx) error {
		id, err = d.userIdentity(tx, account, "admin", "")
		return err
	}
	err = d.cfg.Store.View(ctx, read)
	if !errors.Is(err, ErrUnknownAccessKey) {
		return id, err
	}
	err = d.cfg.Store.Update(store.Promptly(ctx), func(tx store.Tx) error {
		if _, ok, err := d.User(tx, account, "admin"); err != nil || ok {
			return err
		}
		return d.PutUser(tx, User{
			Account: account, Name: "admin", Path: "/", ID: NewID("AIDA"), Created: d.cfg.Wall(),
			Attached: []string{"arn:aws:iam::aws:policy/AdministratorAccess"},
		})
	})
	if err != nil {
		return id, err
	}
	return id, d.cfg.Store.View(ctx, read)
}

func (d *Directory) rootIdentity(account string) Identity {
	return Identity{Principal: authz.Principal{
		Type: authz.Root, ARN: arn.Root(account), Account: account, UserID: account,
	}}
}

func (d *Directory) userIdentity(tx store.Tx, account, name, wantID string) (Identity, error) {
	u, ok, err := d.users.Shared(tx, account, fold(name))
	if err != nil {
		return Identity{}, err
	}
	if !ok || (wantID != "" && u.ID != wantID) {
		return Identity{}, ErrUnknownAccessKey
	}
	return Identity{Principal: authz.Principal{
		Type: authz.User, ARN: u.ARN(), Account: account, UserID: u.ID, UniqueID: u.ID, Username: u.Name, Tags: u.tags,
	}}, nil
}

// NewAccessKey makes a long-term access key and its secret, which is stored sealed only.
func (d *Directory) NewAccessKey(tx store.Tx, account, user, userID string) (AccessKey, secret.String, error) {
	sec := newSecret()
	id := NewID("AKIA")[:20]
	key := AccessKey{
		ID: id, Account: account, User: user, UserID: userID, Created: d.cfg.Wall(),
		Sealed: d.cfg.Keys.Seal([]byte(sec), []byte(id)),
	}
	if err := userKeys.Put(tx, id, account, fold(user), id); err != nil {
		return key, "", err
	}
	return key, sec, AccessKeys.Put(tx, key, id)
}

// UserAccessKeys lists the access keys of a user (or, for "", of the root user) by id.
func (d *Directory) UserAccessKeys(tx store.Tx, account, user string) ([]AccessKey, error) {
	var keys []AccessKey
	for r, err := range userKeys.Scan(tx, account, fold(user)) {
		if err != nil {
			return nil, err
		}
		k, ok, err := AccessKeys.Get(tx, r.Value)
		if err != nil {
			return nil, err
		}
		if ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// DeleteAccessKey removes an access key.
func (d *Directory) DeleteAccessKey(tx store.Tx, key AccessKey) error {
	if err := userKeys.Delete(tx, key.Account, fold(key.User), key.ID); err != nil {
		return err
	}
	if err := keyUses.Delete(tx, key.ID); err != nil {
		return err
	}
	d.used.Delete(key.ID) // a transaction that fails costs a write too many
	return AccessKeys.Delete(tx, key.ID)
}

// newSecret makes 30 random bytes in base64, the size of AWS's secret access keys.
func newSecret() secret.String {
	b := make([]byte, 30)
	rand.Read(b) // never fails
	return secret.String(base64.StdEncoding.EncodeToString(b))
}

// A SessionGrant is what Issue turns into temporary credentials: of a role, unless Kind says
// otherwise.
type SessionGrant struct {
	Kind           SessionKind       `json:"o,omitempty"`
	User           string            `json:"u,omitempty"` // not of a role: the user who asked, or "" for root
	UserID         string            `json:"w,omitempty"`
	Account        string            `json:"a"`
	RoleName       string            `json:"r"`
	RolePath       string            `json:"p"`
	RoleID         string            `json:"i"`
	Name           string            `json:"n"` // session name
	IssuedAt       time.Time         `json:"t"`
	ExpiresAt      time.Time         `json:"e"`
	SourceIdentity string            `json:"s,omitempty"`
	MFA            bool              `json:"m,omitempty"`
	Tags           map[string]string `json:"g,omitempty"`
	Transitive     []string          `json:"v,omitempty"` // keys of the tags that go on to the next role
	Policies       []string          `json:"d,omitempty"` // session policy documents
	PolicyARNs     []string          `json:"l,omitempty"` // managed session policies: what they say when they are used
	HasPolicies    bool              `json:"h,omitempty"`
	// Provider is the identity provider whose user the session is of (aws:FederatedProvider), and Claims
	// are the condition keys that it
	// gives of the user.
	Provider string        `json:"f,omitempty"`
	Claims   authz.Context `json:"c,omitempty"`
}

// Credentials are temporary credentials.
type Credentials struct {
	AccessKeyID string
	Secret      secret.String
	Token       secret.String
	Expires     time.Time
}

type sealedSession struct {
	SessionGrant
	Key    string `json:"k"`
	Secret string `json:"x"`
}

// Issue makes temporary credentials for a role session. They are stateless: the token holds
// everything, sealed by a versioned key. Each use checks again that the role with that unique id exists.
func (d *Directory) Issue(g SessionGrant) (Credentials, error) {
	s := sealedSession{SessionGrant: g, Key: NewID("ASIA")[:20], Secret: newSecret().Reveal()}
	plain, err := json.Marshal(s)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{
		AccessKeyID: s.Key, Secret: secret.String(s.Secret), Expires: g.ExpiresAt, Token: secret.String(d.sessions.seal(plain)),
	}, nil
}

func (d *Directory) lookupSession(ctx context.Context, accessKeyID, token string) (secret.String, Identity, error) {
	plain, err := d.sessions.open(token)
	if err != nil {
		return "", Identity{}, err
	}
	var s sealedSession
	if err := json.Unmarshal(plain, &s); err != nil || s.Key != accessKeyID {
		return "", Identity{}, ErrInvalidToken
	}
	if !d.cfg.Wall().Before(s.ExpiresAt) {
		return "", Identity{}, ErrExpiredToken
	}
	var id Identity
	err = d.cfg.Store.View(ctx, func(tx store.Tx) error {
		id, err = d.SessionIdentity(tx, s.SessionGrant)
		return err
	})
	if err != nil {
		return "", Identity{}, err
	}
	id.AccessKeyID = accessKeyID
	return secret.String(s.Secret), id, nil
}

// SessionIdentity is the identity of a session. It fails with ErrInvalidToken if its role or user
// is gone or was made anew under its name.
func (d *Directory) SessionIdentity(tx store.Tx, g SessionGrant) (Identity, error) {
	id, err := d.sessionOf(tx, g)
	if err != nil {
		return Identity{}, err
	}
	if g.HasPolicies {
		id.Session.Policies, err = d.sessionPolicies(tx, g, id.Principal.ARN)
	}
	return id, err
}

// sessionOf is the identity of a session without its policies.
func (d *Directory) sessionOf(tx store.Tx, g SessionGrant) (Identity, error) {
	if g.Kind != OfRole {
		return d.userSession(tx, g)
	}
	r, ok, err := d.roles.Shared(tx, g.Account, fold(g.RoleName))
	if err != nil {
		return Identity{}, err
	}
	if !ok || r.ID != g.RoleID {
		return Identity{}, ErrInvalidToken
	}
	return Identity{
		Principal: authz.Principal{
			Type: authz.RoleSession, ARN: arn.Session(g.Account, r.Name, g.Name), RoleARN: r.ARN(),
			Account: g.Account, UserID: r.ID + ":" + g.Name, UniqueID: r.ID, Tags: overlay(r.tags, g.Tags),
		},
		Session: &Session{
			Name: g.Name, IssuedAt: g.IssuedAt, ExpiresAt: g.ExpiresAt, SourceIdentity: g.SourceIdentity,
			MFA: g.MFA, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Transitive: transitive(g),
			Provider: g.Provider, Claims: g.Claims,
		},
	}, nil
}

// sessionPolicies are those that were passed for a session.
func (d *Directory) sessionPolicies(tx store.Tx, g SessionGrant, attached string) ([]*authz.Document, error) {
	out := make([]*authz.Document, 0, len(g.Policies)+len(g.PolicyARNs))
	for _, src := range g.Policies {
		doc, err := d.compile(src, "session policy", g.Account, attached, policy.Session)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
		}
		out = append(out, doc)
	}
	for _, policyARN := range g.PolicyARNs {
		doc, err := d.managedDocument(tx, policyARN)
		if err != nil {
			return nil, err
		}
		if doc == nil { // it might deny: without it nothing is allowed any more
			return []*authz.Document{}, nil
		}
		out = append(out, doc)
	}
	return out, nil
}

// transitive are the session tags that go on to the next role.
func transitive(g SessionGrant) map[string]string {
	if len(g.Transitive) == 0 {
		return nil
	}
	m := make(map[string]string, len(g.Transitive))
	for _, k := range g.Transitive {
		m[k] = g.Tags[k]
	}
	return m
}

// overlay are the tags of a role with those of a session, which replace the role's of the same key
// whatever its case. Source: IAM User Guide, "Pass session tags in AWS STS".
func overlay(role, session map[string]string) map[string]string {
	if len(session) == 0 {
		return role
	}
	m := maps.Clone(session)
	taken := make(map[string]bool, len(session))
	for k := range session {
		taken[strings.ToLower(k)] = true
	}
	for k, v := range role {
		if !taken[strings.ToLower(k)] {
			m[k] = v
		}
	}
	return m
}

// InfrastructureIdentity is the identity under which EC2 decrypts the data keys of one
// instance's volumes. No policy hangs on it: grants alone give it anything.
func (d *Directory) InfrastructureIdentity(account, region, instance string) Identity {
	return Identity{
		Principal: authz.Principal{
			Type: authz.RoleSession, ARN: arn.InfrastructureSession(account, instance),
			RoleARN: arn.InfrastructureRole(account), Account: account,
			UserID: account + ":aws:ec2-infrastructure:" + instance,
		},
		Session: &Session{
			Name: instance, RoleName: "aws:ec2-infrastructure", RolePath: "/",
			Instance: arn.EC2(region, account, "instance/"+instance),
		},
	}
}

// ServiceIdentity is an AWS service acting in its own name.
func ServiceIdentity(service string) Identity {
	return Identity{Principal: authz.Principal{Type: authz.Service, ARN: service}}
}
