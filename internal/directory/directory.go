package directory

import (
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// Box seals secrets; hsm.Box is one.
type Box interface {
	Seal(plaintext, aad []byte) []byte
	Open(sealed, aad []byte) ([]byte, error)
}

// Config of a [Directory].
type Config struct {
	Store store.Store
	// Keys seals the secrets of access keys.
	Keys Box
	// Sessions are the boxes that seal session tokens, by version: see SessionBoxes.
	Sessions func(version uint32) Box
	// Wall is the wall clock: tokens and signatures do not follow the service clock.
	Wall func() time.Time
	// Dev makes every 12-digit account exist and opens the development credentials.
	Dev bool
}

// A Directory answers who somebody is and which documents bear on them.
type Directory struct {
	cfg      Config
	sessions *sessionKeys
	users    *store.Cached[User, *userView]
	roles    *store.Cached[Role, *roleView]
	groups   *store.Cached[Group, *groupView]
	refs     *store.Cached[Ref, Ref]
	policies *store.Cached[ManagedPolicy, *policyView]
	orgs     *store.Cached[Organization, *orgView]
	orgOf    *store.Cached[string, string]
	closed   *store.Cached[Member, bool] // whether an account was closed
	docs     *authz.Cache                // compiled documents by their text
	aws      sync.Map                    // AWS managed policies that were asked for: ARN to *authz.Document
	nowhere  *Place                      // of an account outside any organization
	dev      *orgView                    // the development organization before any change; or nil
	seen     sync.Map                    // development accounts that are known to be in its list
	used     sync.Map                    // access key id to the time.Time when its use was last written down

	// What a snapshot says of an access key, an account (closed) and a caller.
	owners      store.Memo[*owner]
	shut        store.Memo[bool]
	documentsOf store.Memo[*Documents]
	searches    sync.Pool // of *search
}

type userView struct {
	User
	inline []*authz.Document
	tags   map[string]string
}

type roleView struct {
	Role
	inline []*authz.Document
	trust  *authz.Document
	tags   map[string]string
}

type policyView struct {
	ManagedPolicy
	doc *authz.Document
}

// cacheSize bounds each cache of compiled documents.
const cacheSize = 4096

// New makes a directory over a store.
func New(cfg Config) (*Directory, error) {
	d := &Directory{cfg: cfg, sessions: &sessionKeys{wall: cfg.Wall, make: cfg.Sessions}, docs: authz.NewCache(cacheSize), nowhere: &Place{},
		owners: store.NewMemo[*owner](), shut: store.NewMemo[bool](), documentsOf: store.NewMemo[*Documents]()}
	d.users = store.NewCached(userTable, cacheSize, d.buildUser)
	d.roles = store.NewCached(roleTable, cacheSize, d.buildRole)
	d.groups = store.NewCached(groupTable, cacheSize, d.buildGroup)
	d.refs = store.NewCached(idTable, cacheSize, func(r Ref) (Ref, error) { return r, nil })
	d.policies = store.NewCached(polTable, cacheSize, d.buildPolicy)
	d.orgOf = store.NewCached(memberOf, cacheSize, func(id string) (string, error) { return id, nil })
	d.closed = store.NewCached(memberTable, cacheSize, func(m Member) (bool, error) { return !m.Closed.IsZero(), nil })
	d.orgs = store.NewCached(orgTable, cacheSize, d.newOrgView)
	if cfg.Dev {
		d.dev, _ = d.newOrgView(devOrganization()) // never fails
	}
	return d, nil
}

func (d *Directory) compile(src, name, owner, attached string, kind policy.Kind) (*authz.Document, error) {
	c, err := d.docs.Document(src, kind)
	if err != nil {
		return nil, err
	}
	c.Name, c.Owner, c.Attached = name, owner, attached
	return c, nil
}

func (d *Directory) buildInline(inline map[string]string, account, attached string) ([]*authz.Document, error) {
	var docs []*authz.Document
	for _, name := range slices.Sorted(maps.Keys(inline)) { // evidence in the same order each time
		doc, err := d.compile(inline[name], name, account, attached, policy.Identity)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func (d *Directory) buildUser(u User) (*userView, error) {
	inline, err := d.buildInline(u.Inline, u.Account, u.ARN())
	return &userView{u, inline, tagMap(u.Tags)}, err
}

func (d *Directory) buildRole(r Role) (*roleView, error) {
	inline, err := d.buildInline(r.Inline, r.Account, r.ARN())
	if err != nil {
		return nil, err
	}
	trust, err := d.compile(r.Trust, r.ARN(), r.Account, r.ARN(), policy.Trust)
	if err != nil {
		return nil, err
	}
	trust.SetPrincipalIDs(r.TrustIDs)
	return &roleView{r, inline, trust, tagMap(r.Tags)}, nil
}

func (d *Directory) buildPolicy(p ManagedPolicy) (*policyView, error) {
	doc, err := d.compile(p.DefaultDocument(), p.ARN(), p.Account, p.ARN(), policy.Identity)
	return &policyView{p, doc}, err
}

func tagMap(tags []Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// User reads a user by name, whatever its case; ok is false if there is none.
func (d *Directory) User(tx store.Tx, account, name string) (User, bool, error) {
	return userTable.Get(tx, account, fold(name))
}

// PutUser writes a user and its unique id.
func (d *Directory) PutUser(tx store.Tx, u User) error {
	if err := d.refer(tx, u.ID, Ref{u.Account, "user", u.Name, u.ARN()}); err != nil {
		return err
	}
	return userTable.Put(tx, u, u.Account, fold(u.Name))
}

// refer says what a unique id means. Most changes leave it as it is, and its page of the store with it.
func (d *Directory) refer(tx store.Tx, id string, ref Ref) error {
	if was, ok, err := d.refs.Shared(tx, id); err != nil || ok && was == ref {
		return err
	}
	return idTable.Put(tx, ref, id)
}

// DeleteUser removes a user. Its unique id never means anybody again.
func (d *Directory) DeleteUser(tx store.Tx, u User) error {
	if err := idTable.Delete(tx, u.ID); err != nil {
		return err
	}
	return userTable.Delete(tx, u.Account, fold(u.Name))
}

// RenameUser gives a user another name or path; the unique id and the access keys stay.
func (d *Directory) RenameUser(tx store.Tx, from, to User) error {
	keys, err := d.UserAccessKeys(tx, from.Account, from.Name)
	if err != nil {
		return err
	}
	if err := d.DeleteUser(tx, from); err != nil {
		return err
	}
	for _, k := range keys {
		if err := userKeys.Delete(tx, k.Account, fold(k.User), k.ID); err != nil {
			return err
		}
		k.User = to.Name
		if err := userKeys.Put(tx, k.ID, k.Account, fold(k.User), k.ID); err != nil {
			return err
		}
		if err := AccessKeys.Put(tx, k, k.ID); err != nil {
			return err
		}
	}
	return d.PutUser(tx, to)
}

// Users yields the users of an account by name, after the given name.
func (d *Directory) Users(tx store.Tx, account, after string) iter.Seq2[store.Record[User], error] {
	return userTable.ScanRange(tx, scan(account, after))
}

// Role reads a role by name, whatever its case; ok is false if there is none.
func (d *Directory) Role(tx store.Tx, account, name string) (Role, bool, error) {
	return roleTable.Get(tx, account, fold(name))
}

// PutRole writes a role and its unique id.
func (d *Directory) PutRole(tx store.Tx, r Role) error {
	if err := d.refer(tx, r.ID, Ref{r.Account, "role", r.Name, r.ARN()}); err != nil {
		return err
	}
	return roleTable.Put(tx, r, r.Account, fold(r.Name))
}

// DeleteRole removes a role. Its unique id never means anybody again.
func (d *Directory) DeleteRole(tx store.Tx, r Role) error {
	if err := idTable.Delete(tx, r.ID); err != nil {
		return err
	}
	return roleTable.Delete(tx, r.Account, fold(r.Name))
}

// Roles yields the roles of an account by name, after the given name.
func (d *Directory) Roles(tx store.Tx, account, after string) iter.Seq2[store.Record[Role], error] {
	return roleTable.ScanRange(tx, scan(account, after))
}

// TrustPolicy is a role's compiled trust policy; nil if there is no such role.
func (d *Directory) TrustPolicy(tx store.Tx, account, role string) (*authz.Document, error) {
	v, ok, err := d.roles.Shared(tx, account, fold(role))
	if err != nil || !ok {
		return nil, err
	}
	return v.trust, nil
}

// Policy reads a customer managed policy by name.
func (d *Directory) Policy(tx store.Tx, account, name string) (ManagedPolicy, bool, error) {
	return polTable.Get(tx, account, fold(name))
}

// PutPolicy writes a customer managed policy.
func (d *Directory) PutPolicy(tx store.Tx, p ManagedPolicy) error {
	return polTable.Put(tx, p, p.Account, fold(p.Name))
}

// DeletePolicy removes a customer managed policy.
func (d *Directory) DeletePolicy(tx store.Tx, p ManagedPolicy) error {
	return polTable.Delete(tx, p.Account, fold(p.Name))
}

// Policies yields the customer managed policies of an account by name, after the given name.
func (d *Directory) Policies(tx store.Tx, account, after string) iter.Seq2[store.Record[ManagedPolicy], error] {
	return polTable.ScanRange(tx, scan(account, after))
}

func scan(account, after string) store.Range {
	r := store.Range{Prefix: store.Key(account)}
	if after != "" {
		r.After = store.Key(account, fold(after))
	}
	return r
}

// managedDocument is the compiled document of a managed policy; nil if it does not exist.
func (d *Directory) managedDocument(tx store.Tx, policyARN string) (*authz.Document, error) {
	if doc, err := d.awsDocument(policyARN); doc != nil || err != nil {
		return doc, err
	}
	a, err := arn.Parse(policyARN)
	if err != nil {
		return nil, nil
	}
	v, ok, err := d.policies.Shared(tx, a.Account, fold(baseName(a.Resource)))
	if err != nil || !ok || v.ARN() != policyARN {
		return nil, err
	}
	return v.doc, nil
}

// awsDocument is the compiled document of a policy of AWS, from the first time on; nil if AWS has none of this ARN.
func (d *Directory) awsDocument(policyARN string) (*authz.Document, error) {
	if doc, ok := d.aws.Load(policyARN); ok {
		return doc.(*authz.Document), nil
	}
	p := managed.Find(policyARN)
	if p == nil {
		return nil, nil
	}
	doc, err := d.compile(p.Document(), p.ARN, "aws", p.ARN, policy.Identity)
	if err != nil {
		return nil, fmt.Errorf("directory: %s: %w", p.ARN, err)
	}
	d.aws.Store(p.ARN, doc)
	return doc, nil
}

// PolicyExists reports whether a policy of AWS or of a customer has this ARN.
func (d *Directory) PolicyExists(tx store.Tx, policyARN string) (bool, error) {
	if managed.Find(policyARN) != nil {
		return true, nil
	}
	a, err := arn.Parse(policyARN)
	if err != nil {
		return false, nil
	}
	v, ok, err := d.policies.Shared(tx, a.Account, fold(baseName(a.Resource)))
	return ok && v.ARN() == policyARN, err
}

func baseName(resource string) string { return resource[strings.LastIndexByte(resource, '/')+1:] }

// AccountExists reports whether an account is known; in development every 12-digit one is.
func (d *Directory) AccountExists(tx store.Tx, account string) (bool, error) {
	if !arn.IsAccount(account) {
		return false, nil
	}
	if d.cfg.Dev {
		return true, nil
	}
	_, ok, err := Accounts.Get(tx, account)
	return ok, err
}

// ByID says whom a unique id (AIDA..., AROA...) means; ok is false if its owner was deleted.
func (d *Directory) ByID(tx store.Tx, id string) (Ref, bool, error) { return idTable.Get(tx, id) }

// NameOf is how a policy or grant shows a principal that it names by an ARN, which meant the unique
// id: a user that was renamed since by its new ARN, a user or role that is gone by the id.
// Source: IAM User Guide, "Rename an IAM user".
func (d *Directory) NameOf(tx store.Tx, principal, id string) (string, error) {
	ref, ok, err := d.ByID(tx, id)
	switch {
	case err != nil || !ok:
		return id, err
	case ref.Kind == "user":
		return ref.ARN, nil
	}
	return principal, nil // a role, or a session of one
}

// Resolve finds the principal that an ARN (or account id) in a policy or grant names. id is its
// unique id, or "" for accounts, sessions of the infrastructure role and federated users. ok is
// false if there is no such principal.
func (d *Directory) Resolve(tx store.Tx, principal string) (id string, ok bool, err error) {
	tx = store.Settled(tx)
	if arn.IsAccount(principal) {
		ok, err = d.AccountExists(tx, principal)
		return "", ok, err
	}
	a, err := arn.Parse(principal)
	if err != nil || a.Partition != arn.Partition || a.Region != "" {
		return "", false, nil
	}
	if exists, err := d.AccountExists(tx, a.Account); err != nil || !exists {
		return "", false, err
	}
	kind, rest, _ := strings.Cut(a.Resource, "/")
	switch {
	case a.Service == "iam" && a.Resource == "root":
		return "", true, nil
	case a.Service == "iam" && kind == "user":
		u, ok, err := d.users.Shared(tx, a.Account, fold(baseName(rest)))
		if err != nil || !ok || u.ARN() != principal {
			return "", false, err
		}
		return u.ID, true, nil
	case a.Service == "iam" && kind == "role":
		r, ok, err := d.roles.Shared(tx, a.Account, fold(baseName(rest)))
		if err != nil || !ok || r.ARN() != principal {
			return "", false, err
		}
		return r.ID, true, nil
	case a.Service == "sts" && kind == "assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		if session == "" {
			return "", false, nil
		}
		if principal == arn.InfrastructureSession(a.Account, session) {
			return "", true, nil
		}
		r, ok, err := d.roles.Shared(tx, a.Account, fold(role))
		if err != nil || !ok || r.Name != role {
			return "", false, err
		}
		return r.ID, true, nil
	case a.Service == "sts" && kind == "federated-user":
		return "", rest != "", nil
	}
	return "", false, nil
}

// idAlphabet is that of IAM's unique ids and access key ids.
const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// NewID makes a unique id with a prefix such as "AROA". Source: IAM User Guide, "IAM identifiers".
func NewID(prefix string) string {
	b := make([]byte, 17)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = idAlphabet[b[i]&31]
	}
	return prefix + string(b)
}
