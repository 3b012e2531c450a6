package directory

import (
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

// An Organization is a tree of accounts with one that manages it. Every change of the tree, of a
// policy or of an attachment writes the record again: its revision is that of all of it.
type Organization struct {
	ID         string                   `json:"id"`   // o-...
	Root       string                   `json:"root"` // r-...
	Management string                   `json:"management"`
	Created    time.Time                `json:"created"`
	Billing    bool                     `json:"billing,omitempty"` // it has consolidated billing only
	Types      map[PolicyType]TypeState `json:"types,omitempty"`
	RootTags   []Tag                    `json:"rootTags,omitempty"`
	Resource   *ResourcePolicy          `json:"resourcePolicy,omitempty"`
	Claimed    bool                     `json:"claimed,omitempty"` // that of a development server: the managing account called CreateOrganization
}

// TypeState says whether policies of a type are in force. Attachments of an earlier epoch ended
// when the type was disabled.
type TypeState struct {
	Enabled bool `json:"enabled"`
	Epoch   int  `json:"epoch"`
}

// Enabled reports whether policies of the type are in force.
func (o *Organization) Enabled(t PolicyType) bool { return o.Types[t].Enabled }

// ARN of the organization.
func (o *Organization) ARN() string { return o.arn("organization/" + o.ID) }

// TargetARN is the ARN of the root, of an organizational unit, of an account or of the resource
// policy, by its id.
func (o *Organization) TargetARN(id string) string {
	kind := "account/"
	switch {
	case strings.HasPrefix(id, "r-"):
		kind = "root/"
	case strings.HasPrefix(id, "ou-"):
		kind = "ou/"
	case strings.HasPrefix(id, "rp-"):
		kind = "resourcepolicy/"
	}
	return o.arn(kind + o.ID + "/" + id)
}

// PolicyARN is the ARN of a policy. AWS's own belong to no account.
func (o *Organization) PolicyARN(t PolicyType, id string) string {
	if id == t.Full() {
		return arn.Make("organizations", "", "aws", "policy/"+strings.ToLower(string(t))+"/"+id)
	}
	return o.arn("policy/" + o.ID + "/" + strings.ToLower(string(t)) + "/" + id)
}

func (o *Organization) arn(resource string) string {
	return arn.Make("organizations", "", o.Management, resource)
}

// A Unit is an organizational unit.
type Unit struct {
	ID      string    `json:"id"`     // ou-...
	Parent  string    `json:"parent"` // the root or another unit
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Tags    []Tag     `json:"tags,omitempty"`
}

// A Member is an account in an organization, the managing one included.
type Member struct {
	Account string    `json:"account"`
	Parent  string    `json:"parent"` // the root or a unit
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Joined  time.Time `json:"joined"`
	Created bool      `json:"created,omitempty"` // by the organization, not invited
	Tags    []Tag     `json:"tags,omitempty"`
	// Closed is when the account was closed, or zero.
	Closed time.Time `json:"closed,omitzero"`
}

// attachment is what of one type hangs on a target. Without a record it is AWS's policy alone.
type attachment struct {
	Epoch    int      `json:"epoch"`
	Policies []string `json:"policies"` // ids, in order of attachment
}

// Tables. Keys start with the organization's id.
var (
	orgTable       = store.Table[Organization]{Bucket: "directory/organization", Version: 1}
	memberOf       = store.Table[string]{Bucket: "directory/memberof", Version: 1}       // account: organization
	memberTable    = store.Table[Member]{Bucket: "directory/member", Version: 1}         // ..., account
	unitTable      = store.Table[Unit]{Bucket: "directory/unit", Version: 1}             // ..., unit
	orgPolicyTable = store.Table[OrgPolicy]{Bucket: "directory/orgpolicy", Version: 1}   // ..., policy
	attachTable    = store.Table[attachment]{Bucket: "directory/attachment", Version: 1} // ..., type, target
)

// devOrganization is the organization of a development server before anybody changed it.
func devOrganization() Organization {
	return Organization{
		ID: DevOrganization, Root: devRoot, Management: DevAccount,
		Types: map[PolicyType]TypeState{SCP: {Enabled: true, Epoch: 1}},
	}
}

// OrganizationOf is the organization that an account is in; ok is false if there is none.
func (d *Directory) OrganizationOf(tx store.Tx, account string) (o Organization, ok bool, err error) {
	id, err := d.organizationID(tx, account)
	if err != nil || id == "" {
		return o, false, err
	}
	o, ok, err = orgTable.Get(tx, id)
	if err == nil && !ok && d.cfg.Dev {
		return devOrganization(), true, nil
	}
	return o, ok, err
}

// organizationID is "" for an account outside any organization.
func (d *Directory) organizationID(tx store.Tx, account string) (string, error) {
	if !arn.IsAccount(account) {
		return "", nil
	}
	id, ok, err := d.orgOf.Shared(tx, account)
	switch {
	case id == outside:
		id = ""
	case !ok && d.cfg.Dev:
		id = DevOrganization
	}
	return id, err
}

// outside stands for the organization of a development server's account that left the one it was in.
const outside = "-"

// NewOrganization makes an organization with nothing in it but the account that manages it.
func (d *Directory) NewOrganization(tx store.Tx, management Member) (Organization, error) {
	o := Organization{
		ID: NewOrgID("o-", 10), Root: NewOrgID("r-", 4), Management: management.Account, Created: management.Joined,
	}
	management.Parent = o.Root
	return o, d.PutMember(tx, o, management)
}

// PutOrganization writes what the organization says of itself.
func (d *Directory) PutOrganization(tx store.Tx, o Organization) error {
	return orgTable.Put(tx, o, o.ID)
}

// DeleteOrganization removes an organization in which nothing but the managing account is left,
// without its policies' and units' records.
func (d *Directory) DeleteOrganization(tx store.Tx, o Organization) error {
	if err := d.putOutside(tx, o.Management); err != nil {
		return err
	}
	if err := memberTable.Delete(tx, o.ID, o.Management); err != nil {
		return err
	}
	return orgTable.Delete(tx, o.ID)
}

// Unit reads an organizational unit.
func (d *Directory) Unit(tx store.Tx, o Organization, id string) (Unit, bool, error) {
	return unitTable.Get(tx, o.ID, id)
}

// PutUnit writes an organizational unit.
func (d *Directory) PutUnit(tx store.Tx, o Organization, u Unit) error {
	if err := unitTable.Put(tx, u, o.ID, u.ID); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// DeleteUnit removes an organizational unit and what hangs on it.
func (d *Directory) DeleteUnit(tx store.Tx, o Organization, id string) error {
	for _, t := range PolicyTypes() {
		if err := attachTable.Delete(tx, o.ID, string(t), id); err != nil {
			return err
		}
	}
	if err := unitTable.Delete(tx, o.ID, id); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// Units lists all organizational units by id.
func (d *Directory) Units(tx store.Tx, o Organization) ([]Unit, error) {
	return all(unitTable.Scan(tx, o.ID))
}

// Member reads an account of the organization; in development every 12-digit one is in it.
func (d *Directory) Member(tx store.Tx, o Organization, account string) (Member, bool, error) {
	m, ok, err := memberTable.Get(tx, o.ID, account)
	if err != nil || ok || !d.cfg.Dev || o.ID != DevOrganization || !arn.IsAccount(account) {
		return m, ok, err
	}
	if id, err := d.organizationID(tx, account); err != nil || id != DevOrganization {
		return m, false, err
	}
	return d.devMember(account), true, nil
}

// KnownMember is [Directory.Member] without the accounts of a development server that nobody used
// or placed yet.
func (d *Directory) KnownMember(tx store.Tx, o Organization, account string) (Member, bool, error) {
	if _, ok, err := memberTable.Get(tx, o.ID, account); err != nil || !ok && account != o.Management {
		return Member{}, false, err
	}
	return d.Member(tx, o, account)
}

// RemoveMember makes an account stand alone, with what hung on it.
func (d *Directory) RemoveMember(tx store.Tx, o Organization, account string) error {
	for _, t := range PolicyTypes() {
		if err := attachTable.Delete(tx, o.ID, string(t), account); err != nil {
			return err
		}
	}
	if err := memberTable.Delete(tx, o.ID, account); err != nil {
		return err
	}
	if err := d.putOutside(tx, account); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// putOutside makes an account stand alone. In development no record would mean the organization
// that everybody is in.
func (d *Directory) putOutside(tx store.Tx, account string) error {
	if d.cfg.Dev {
		return memberOf.Put(tx, outside, account)
	}
	return memberOf.Delete(tx, account)
}

// Idle reports whether an account is in a development server's organization for no other reason
// than that every account is: nobody made, moved or tagged it, and no policy hangs on it.
func (d *Directory) Idle(tx store.Tx, o Organization, account string) (bool, error) {
	if !d.cfg.Dev || o.ID != DevOrganization || account == o.Management {
		return false, nil
	}
	m, ok, err := d.Member(tx, o, account)
	if err != nil || !ok || m.Created || m.Parent != devRoot || len(m.Tags) > 0 {
		return false, err
	}
	for _, t := range PolicyTypes() {
		if ids, err := d.Attached(tx, o, t, account); err != nil || !t.hangs(ids) {
			return false, err
		}
	}
	return true, nil
}

func (d *Directory) devMember(account string) Member {
	m := Member{Account: account, Parent: devRoot, Name: account, Email: "account-" + account + "@example.com", Joined: d.cfg.Wall().UTC()}
	if account == DevAccount {
		m.Name = "management"
	}
	return m
}

// open fails with ErrUnknownAccessKey if the account was closed.
func (d *Directory) open(ctx context.Context, account string) error {
	shut := false
	err := d.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		shut, err = d.shut.Get(tx, func() (bool, error) { return d.isShut(tx, account) }, account)
		return err
	})
	if err == nil && shut {
		return ErrUnknownAccessKey
	}
	return err
}

// isShut reports whether an account was closed.
func (d *Directory) isShut(tx store.Tx, account string) (bool, error) {
	id, err := d.organizationID(tx, account)
	if err != nil || id == "" {
		return false, err
	}
	closed, _, err := d.closed.Shared(tx, id, account)
	return closed, err
}

// PutMember writes an account of the organization.
func (d *Directory) PutMember(tx store.Tx, o Organization, m Member) error {
	if err := memberOf.Put(tx, o.ID, m.Account); err != nil {
		return err
	}
	if err := memberTable.Put(tx, m, o.ID, m.Account); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// Members lists the accounts of the organization by id: in development those that were seen,
// moved or created, and the one that manages.
func (d *Directory) Members(tx store.Tx, o Organization) ([]Member, error) {
	list, err := all(memberTable.Scan(tx, o.ID))
	if err != nil || !d.cfg.Dev || o.ID != DevOrganization || len(list) > 0 && list[0].Account == DevAccount {
		return list, err
	}
	return append([]Member{d.devMember(DevAccount)}, list...), nil // 000000000000 sorts first
}

// OrgPolicy reads a customer's policy of the organization.
func (d *Directory) OrgPolicy(tx store.Tx, o Organization, id string) (OrgPolicy, bool, error) {
	return orgPolicyTable.Get(tx, o.ID, id)
}

// PutOrgPolicy writes a policy of the organization.
func (d *Directory) PutOrgPolicy(tx store.Tx, o Organization, p OrgPolicy) error {
	if err := orgPolicyTable.Put(tx, p, o.ID, p.ID); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// DeleteOrgPolicy removes a policy that hangs nowhere.
func (d *Directory) DeleteOrgPolicy(tx store.Tx, o Organization, id string) error {
	if err := orgPolicyTable.Delete(tx, o.ID, id); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// OrgPolicies lists the customer's policies of the organization by id.
func (d *Directory) OrgPolicies(tx store.Tx, o Organization) ([]OrgPolicy, error) {
	return all(orgPolicyTable.Scan(tx, o.ID))
}

// Attached are the ids of the policies of a type that hang on a target, in order of attachment.
func (d *Directory) Attached(tx store.Tx, o Organization, t PolicyType, target string) ([]string, error) {
	a, ok, err := attachTable.Get(tx, o.ID, string(t), target)
	if err != nil {
		return nil, err
	}
	if !ok || a.Epoch != o.Types[t].Epoch {
		return t.initial(), nil
	}
	return a.Policies, nil
}

// PutAttached says which policies of a type hang on a target.
func (d *Directory) PutAttached(tx store.Tx, o Organization, t PolicyType, target string, policies []string) error {
	if err := attachTable.Put(tx, attachment{o.Types[t].Epoch, policies}, o.ID, string(t), target); err != nil {
		return err
	}
	return d.PutOrganization(tx, o)
}

// Attachments are the policies of a type that hang on each target, by their ids. Targets that
// still have what hangs there from the start may be missing.
func (d *Directory) Attachments(tx store.Tx, o Organization, t PolicyType) (map[string][]string, error) {
	out := map[string][]string{}
	for r, err := range attachTable.Scan(tx, o.ID, string(t)) {
		if err != nil {
			return nil, err
		}
		if r.Value.Epoch == o.Types[t].Epoch {
			out[r.Key[2]] = r.Value.Policies
		}
	}
	return out, nil
}

func all[T any](records func(yield func(store.Record[T], error) bool)) ([]T, error) {
	var out []T
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		out = append(out, r.Value)
	}
	return out, nil
}

// NewOrgID makes an id of an organization, a root, a unit or a policy: n lower-case characters
// after the prefix.
func NewOrgID(prefix string, n int) string {
	s := ""
	for len(s) < n {
		s += strings.ToLower(NewID(""))
	}
	return prefix + s[:n]
}
