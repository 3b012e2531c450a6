package scenario_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario"
)

// grantLists are the operations of all grants of the world: of keys and of the setup.
func (m *mutator) grantLists() []*[]string {
	var out []*[]string
	for i := range m.sc.Keys {
		for j := range m.sc.Keys[i].Grants {
			out = append(out, &m.sc.Keys[i].Grants[j].Operations)
		}
	}
	for i := range m.sc.Setup {
		if m.sc.Setup[i].Call == "kms:CreateGrant" {
			out = append(out, &m.sc.Setup[i].Params.Operations)
		}
	}
	return out
}

func (m *mutator) cutGrant() bool {
	list, ok := pick(m, m.grantLists())
	if !ok || len(**list) < 2 {
		return false
	}
	i := m.IntN(len(**list))
	**list = slices.Delete(**list, i, i+1)
	return true
}

func (m *mutator) keyWithGrants() (*scenario.Key, bool) {
	var keys []int
	for i, k := range m.sc.Keys {
		if len(k.Grants) > 0 {
			keys = append(keys, i)
		}
	}
	i, ok := pick(m, keys)
	if !ok {
		return nil, false
	}
	return &m.sc.Keys[*i], true
}

func (m *mutator) constrainGrant() bool {
	k, ok := m.keyWithGrants()
	if !ok {
		return false
	}
	g, _ := pick(m, k.Grants)
	g.Constraints = &scenario.Constraints{EncryptionContextSubset: map[string]string{"team": "web"}}
	if m.IntN(2) == 0 {
		g.Constraints = &scenario.Constraints{EncryptionContextEquals: map[string]string{"aws:ebs:id": "vol-1"}}
	}
	return true
}

func (m *mutator) dropGrant() bool {
	k, ok := m.keyWithGrants()
	if !ok {
		return false
	}
	i := m.IntN(len(k.Grants))
	k.Grants = slices.Delete(k.Grants, i, i+1)
	return true
}

func (m *mutator) addGrant() bool {
	k, ok := m.customerKey()
	p, some := pick(m, m.sc.Principals)
	if !ok || !some {
		return false
	}
	all := []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant"}
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	k.Grants = append(k.Grants, scenario.Grant{
		ID: fmt.Sprint("new", m.IntN(1000)), GranteePrincipal: p.ARN, Operations: all[:3+m.IntN(6)], Status: []string{"active", "active", "active", "revoked", "retired"}[m.IntN(5)],
	})
	return true
}

// renameKey names the key of a device or of the account's defaults otherwise: in another form, or
// wrongly.
func (m *mutator) renameKey() bool {
	key, ok := pick(m, m.sc.Keys)
	if !ok {
		return false
	}
	a, err := arn.Parse(key.ARN)
	if err != nil {
		return false
	}
	forms := []string{
		key.ARN, a.ID(), arn.KMSKey("eu-central-1", a.Account, a.ID()), arn.KMSKey(a.Region, m.sc.Accounts[0].ID, a.ID()), "alias/not-there",
		arn.KMSAlias(a.Region, a.Account, "alias/not-there"), "alias/aws/ebs",
	}
	for _, alias := range key.Aliases {
		forms = append(forms, alias, arn.KMSAlias(a.Region, a.Account, alias))
	}
	form := forms[m.IntN(len(forms))]
	t, ok := pick(m, m.sc.Launch.Templates)
	if !ok {
		return false
	}
	d, ok := pick(m, t.BlockDevices)
	if !ok || d.EBS.KmsKeyID == "" || t.Kind == "launch-configuration" {
		return false
	}
	d.EBS.KmsKeyID = form
	return true
}

func (m *mutator) changeState() bool {
	k, ok := m.customerKey()
	if !ok {
		return false
	}
	k.State = []string{"Enabled", "Disabled", "PendingDeletion"}[m.IntN(3)]
	return true
}

// changeRole has the group use another role, of a suffix, that may not exist.
func (m *mutator) changeRole() bool {
	l := &m.sc.Launch
	if l.Group == nil {
		return false
	}
	role := arn.Role(l.Account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling_random")
	if m.IntN(3) > 0 && !slices.ContainsFunc(m.sc.Principals, func(p scenario.Principal) bool { return p.ARN == role }) {
		m.sc.Principals = append(m.sc.Principals, scenario.Principal{ARN: role, Kind: "service-linked-role"})
	}
	l.Group.ServiceLinkedRoleARN = &role
	return true
}

func (m *mutator) document(st map[string]any) scenario.Document {
	doc, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{st}})
	return doc
}

func (m *mutator) addSCP() bool {
	a, _ := pick(m, m.sc.Accounts)
	a.SCPs = append(a.SCPs, scenario.OrgPolicy{Name: fmt.Sprint("scp", m.IntN(1000)), Policy: m.document(m.statement("Deny", false))})
	return true
}

func (m *mutator) addRCP() bool {
	a, _ := pick(m, m.sc.Accounts)
	st := m.statement("Deny", false)
	st["Principal"] = "*"
	a.RCPs = append(a.RCPs, scenario.OrgPolicy{Name: fmt.Sprint("rcp", m.IntN(1000)), Policy: m.document(st)})
	return true
}

func (m *mutator) dropPolicy() bool {
	p, ok := pick(m, m.sc.Principals)
	if !ok || len(p.Policies) == 0 {
		return false
	}
	i := m.IntN(len(p.Policies))
	p.Policies = slices.Delete(p.Policies, i, i+1)
	return true
}

func (m *mutator) addBoundary() bool {
	p, ok := pick(m, m.sc.Principals)
	if !ok || p.Kind == "service-linked-role" || p.Boundary != nil {
		return false
	}
	actions := [][]any{{"ec2:*", "kms:*"}, {"ec2:*"}, {"ec2:*", "kms:CreateGrant"}, {"ec2:*", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:Decrypt"}}
	p.Boundary = m.document(map[string]any{"Effect": "Allow", "Action": actions[m.IntN(len(actions))], "Resource": "*"})
	return true
}

func (m *mutator) changeDefaults() bool {
	for i := range m.sc.Accounts {
		a := &m.sc.Accounts[i]
		e, ok := a.EBS[m.sc.Region]
		if a.ID != m.sc.Launch.Account || !ok {
			continue
		}
		// A server launches some image where the scenario names none, whose root the default concerns.
		images := !slices.ContainsFunc(m.sc.Launch.Templates, func(t scenario.Template) bool { return t.ImageID == nil })
		e.EncryptionByDefault = images && m.IntN(2) == 0
		for _, k := range m.sc.Keys {
			if k.Account == a.ID && k.Region == m.sc.Region && k.Manager == "CUSTOMER" && m.IntN(2) == 0 {
				e.DefaultKmsKeyID = k.ARN
			}
		}
		a.EBS[m.sc.Region] = e
		return true
	}
	return false
}

func (m *mutator) changeDevice() bool {
	t, ok := pick(m, m.sc.Launch.Templates)
	if !ok || t.Kind == "launch-configuration" {
		return false
	}
	d, ok := pick(m, t.BlockDevices)
	if !ok {
		return false
	}
	switch m.IntN(3) {
	case 0:
		d.EBS.KmsKeyID = ""
	case 1:
		d.EBS.Encrypted = new(m.IntN(2) == 0)
	default:
		k, ok := pick(m, m.sc.Keys)
		if !ok || k.Region != m.sc.Region {
			return false
		}
		d.EBS.Encrypted, d.EBS.KmsKeyID = new(true), k.ARN
	}
	return true
}

func (m *mutator) changeTemplate() bool {
	t, ok := pick(m, m.sc.Launch.Templates)
	if !ok || m.sc.Launch.Operation != "AutoScalingLaunch" {
		return false
	}
	t.Market = []string{"on-demand", "spot"}[m.IntN(2)]
	if m.IntN(3) == 0 {
		t.Kind = "launch-configuration"
		for i := range t.BlockDevices {
			t.BlockDevices[i].EBS.KmsKeyID = ""
		}
	}
	return true
}

func (m *mutator) dropSetup() bool {
	if len(m.sc.Setup) == 0 {
		return false
	}
	i := m.IntN(len(m.sc.Setup))
	m.sc.Setup = slices.Delete(m.sc.Setup, i, i+1)
	return true
}
