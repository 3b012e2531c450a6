package tfplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A key of the plan, or one that it only names.
type key struct {
	format.Key
	unknown  map[string]string // by member, why it is not known
	at       string            // address of the resource, or "" if it is outside
	policyAt string
	assumed  string // what was taken for granted to know the policy
	grants   []grant
	names    []string // ARNs in the policy, once they were looked for
	searched bool
}

// A grant of the plan.
type grant struct {
	format.Grant
	r       *resource
	unknown string // why a part is not known
}

// A keyring finds keys by whatever names them.
type keyring struct {
	m       *model
	byARN   map[string]*key
	byID    map[string][]*key
	aliases map[string]*key // by ARN of the alias
}

// empty stands in the place of a policy that is not known.
var empty = format.Document(`{"Version":"2012-10-17","Statement":[]}`)

// defaultPolicy is what CreateKey gives a key without a policy. Source: KMS Developer Guide,
// "Default key policy".
func defaultPolicy(account string) format.Document {
	return format.Document(fmt.Sprintf(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",`+
		`"Principal":{"AWS":%q},"Action":"kms:*","Resource":"*"}]}`, arn.Root(account)))
}

func (m *model) readKeys() {
	m.keys = &keyring{m: m, byARN: map[string]*key{}, byID: map[string][]*key{}, aliases: map[string]*key{}}
	policies := map[string]*resource{} // by ARN of the key
	for _, r := range m.of("aws_kms_key_policy") {
		if t := m.text(r, wantKey, "key_id"); t.s != "" {
			policies[m.keys.arnOf(t.s, m.homeOf(r))] = r
		}
	}
	for _, kind := range keyKinds {
		for _, r := range m.of(kind) {
			m.keys.put(m.managedKey(r, policies))
		}
	}
	for _, r := range m.of("data.aws_kms_key") {
		m.readKeyData(r)
	}
	for _, r := range m.of("aws_kms_alias", "data.aws_kms_alias") {
		h := m.homeOf(r)
		name := m.identity(r, "name")
		target := m.text(r, wantKey, "target_key_id")
		if r.mode == "data" && r.known("target_key_arn") != "" {
			target = text{s: r.known("target_key_arn")}
		}
		if !strings.HasPrefix(name.s, "alias/") || target.s == "" {
			continue
		}
		k := m.keys.get(target.s, h)
		if k == nil {
			continue
		}
		if !slices.Contains(k.Aliases, name.s) {
			k.Aliases = append(k.Aliases, name.s)
		}
		m.keys.aliases[arn.KMSAlias(k.Region, k.Account, name.s)] = k
	}
	for _, r := range m.of("aws_kms_grant") {
		m.readGrant(r)
	}
}

func (m *model) managedKey(r *resource, policies map[string]*resource) *key {
	h := m.homeOf(r)
	k := &key{at: r.addr, policyAt: r.addr, unknown: map[string]string{}}
	k.Key = format.Key{
		ARN: m.keyARN(r), Account: h.account, Region: h.region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT",
		Usage: "ENCRYPT_DECRYPT", State: "Enabled", Aliases: []string{}, Tags: map[string]string{}, Grants: []format.Grant{},
	}
	for _, attr := range []string{"customer_master_key_spec", "key_spec"} {
		if spec := r.known(attr); spec != "" {
			k.Spec = spec
		}
	}
	if usage := r.known("key_usage"); usage != "" {
		k.Usage = usage
	}
	if tags, ok := r.attr("tags_all").v.(map[string]any); ok && !r.attr("tags_all").isSensitive() {
		for name, v := range tags {
			if s, ok := v.(string); ok && !r.attr("tags_all", name).isSensitive() && !r.attr("tags_all", name).isUnknown() {
				k.Tags[name] = s
			}
		}
	}
	for _, attr := range []string{"is_enabled", "enabled"} {
		if on := m.flag(r, attr); on.v != nil && !*on.v {
			k.State = "Disabled"
		} else if on.why != "" {
			k.unknown["state"] = on.why
		}
	}
	if r.typ == "aws_kms_external_key" {
		if state := r.known("key_state"); slices.Contains(keyStates, state) {
			k.State = state
		} else {
			k.unknown["state"] = r.addr + ": whether its key material is imported is not known before apply"
		}
	}
	d := m.document(r, "policy")
	if p := policies[k.ARN]; p != nil {
		d = m.document(p, "policy")
	}
	k.setPolicy(d)
	return k
}

func (k *key) setPolicy(d document) {
	k.policyAt, k.assumed = d.at, d.assumed
	switch {
	case d.why != "":
		k.Policy, k.unknown["policy"] = empty, d.why
	case d.raw == nil:
		k.Policy = defaultPolicy(k.Account)
	default:
		k.Policy = format.Document(d.raw)
	}
}

// readKeyData takes what a data source tells of a key that is elsewhere.
func (m *model) readKeyData(r *resource) {
	name := r.known("arn")
	if !isKey(name) {
		return
	}
	if k := m.keys.byARN[name]; k != nil && k.at != "" {
		return
	}
	k := m.keys.get(name, m.homeOf(r))
	k.at, k.policyAt = r.addr, r.addr
	if state := r.known("key_state"); slices.Contains(keyStates, state) {
		k.State = state
		delete(k.unknown, "state")
	}
	for _, attr := range []string{"key_spec", "customer_master_key_spec"} {
		if spec := r.known(attr); spec != "" {
			k.Spec = spec
			delete(k.unknown, "spec")
		}
	}
	if usage := r.known("key_usage"); usage != "" {
		k.Usage = usage
		delete(k.unknown, "usage")
	}
	if r.known("key_manager") == format.ManagerAWS {
		k.Manager = format.ManagerAWS
	}
}

func (m *model) readGrant(r *resource) {
	t := m.text(r, wantKey, "key_id")
	if t.s == "" {
		m.note(r.addr, "the key of this grant is not known: "+t.why)
		return
	}
	k := m.keys.get(t.s, m.homeOf(r))
	if k == nil {
		m.note(r.addr, "no key has the name "+t.s)
		return
	}
	g := grant{r: r, Grant: format.Grant{ID: r.known("grant_id"), Status: format.GrantActive, Operations: []string{}, IssuingAccount: m.homeOf(r).account}}
	if g.ID == "" {
		g.ID = digest(r.addr)
	}
	grantee := m.text(r, wantPerson, "grantee_principal")
	g.GranteePrincipal, g.unknown = grantee.s, grantee.why
	ops, why := m.list(r, "operations")
	if g.Operations = append(g.Operations, ops...); why != "" {
		g.unknown = why
	}
	if n, ok := r.attr("constraints").length(); !ok {
		g.unknown = r.addr + ".constraints" + r.attr("constraints").why()
	} else if n > 0 {
		g.Constraints = &format.Constraints{}
		for i := range n {
			for attr, to := range map[string]*map[string]string{
				"encryption_context_equals": &g.Constraints.EncryptionContextEquals, "encryption_context_subset": &g.Constraints.EncryptionContextSubset,
			} {
				pairs, _ := r.attr("constraints", i, attr).v.(map[string]any)
				for name, v := range pairs {
					if *to == nil {
						*to = map[string]string{}
					}
					(*to)[name], _ = v.(string)
				}
				if r.attr("constraints", i, attr).isUnknown() {
					g.unknown = place(r, []any{"constraints", i, attr}) + " is not known before apply"
				}
			}
		}
	}
	if g.unknown == "" && (g.GranteePrincipal == "" || len(g.Operations) == 0) {
		g.unknown = r.addr + " has no grantee or no operation"
	}
	if g.unknown != "" {
		k.unknown["grants"] = g.unknown
	}
	k.grants = append(k.grants, g)
}

func (kr *keyring) put(k *key) {
	kr.byARN[k.ARN] = k
	a, _ := arn.Parse(k.ARN)
	kr.byID[a.ID()] = append(kr.byID[a.ID()], k)
}

// arnOf is the ARN of the key that a name means where h is.
func (kr *keyring) arnOf(name string, h *home) string {
	if strings.HasPrefix(name, "alias/") {
		name = arn.KMSAlias(h.region, h.account, name)
	}
	if k := kr.aliases[name]; k != nil {
		return k.ARN
	}
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return arn.KMSKey(h.region, h.account, name)
}

// get finds the key that a name means where h is, or makes one of which only that is known. It is
// nil for an AWS managed key, and for what is no name of a key.
func (kr *keyring) get(name string, h *home) *key {
	full := kr.arnOf(name, h)
	if k := kr.byARN[full]; k != nil {
		return k
	}
	a, err := arn.Parse(full)
	if err != nil || a.Service != "kms" || !arn.IsAccount(a.Account) || a.Partition != arn.Partition || !regionName.MatchString(a.Region) {
		return nil
	}
	if alias := a.Resource; a.Type() == "alias" && !strings.HasPrefix(alias, "alias/aws/") {
		k := kr.outside(arn.KMSKey(a.Region, a.Account, keyUUID(full)), a.Region, a.Account, full+" is not in "+kr.m.words.File)
		k.Aliases = append(k.Aliases, alias)
		kr.put(k)
		kr.aliases[full] = k
		return k
	}
	if !isKey(full) {
		return nil
	}
	k := kr.outside(full, a.Region, a.Account, "key "+full+" is not in "+kr.m.words.File)
	kr.put(k)
	return k
}

// outside is a key that the plan does not describe.
func (kr *keyring) outside(name, region, account, why string) *key {
	return &key{
		Key: format.Key{
			ARN: name, Account: account, Region: region, Manager: format.ManagerCustomer, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT",
			State: "Enabled", Aliases: []string{}, Tags: map[string]string{}, Policy: empty, Grants: []format.Grant{},
		},
		unknown: map[string]string{"policy": why, "grants": why, "state": why, "spec": why, "usage": why},
	}
}

// managed is the AWS managed key for EBS where h is. Its policy is the one that all of them have.
func (kr *keyring) managed(h *home) *key {
	name := arn.KMSAlias(h.region, h.account, awsManaged)
	if k := kr.aliases[name]; k != nil {
		return k
	}
	k := &key{Key: format.Key{
		ARN: arn.KMSKey(h.region, h.account, keyUUID(name)), Account: h.account, Region: h.region, Manager: format.ManagerAWS,
		Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", State: "Enabled", Aliases: []string{awsManaged}, Tags: map[string]string{},
		Policy: format.Document(policy.EBSManagedKeyPolicy(h.account, h.region)), Grants: []format.Grant{},
	}}
	kr.put(k)
	kr.aliases[name] = k
	return k
}

// members are the unknown parts of a key, in order.
func (k *key) members() []string { return slices.Sorted(maps.Keys(k.unknown)) }

// principals are the ARNs of users and roles that the policy names.
func (k *key) principals() []string {
	if !k.searched {
		k.searched = true
		if doc, err := policy.Parse(k.Policy, policy.Key); err == nil {
			k.names = doc.PrincipalARNs()
		}
	}
	return k.names
}
