package tfplan

import "strings"

// An orgPolicy hangs on an account.
type orgPolicy struct {
	name string
	document
}

// organization are the policies that hang on accounts, or on all of them.
type organization struct {
	scps, rcps map[string][]orgPolicy // by account, or "" for all
	management map[string]bool
}

func (m *model) readOrganization() {
	m.org = &organization{scps: map[string][]orgPolicy{}, rcps: map[string][]orgPolicy{}, management: map[string]bool{}}
	for _, r := range m.of("aws_organizations_organization", "data.aws_organizations_organization") {
		m.org.management[r.known("master_account_id")] = true
	}
	byID := map[string]*resource{}
	for _, r := range m.of("aws_organizations_policy") {
		if id := r.known("id"); id != "" {
			byID[id] = r
		}
	}
	for _, r := range m.of("aws_organizations_policy_attachment") {
		t, p := m.link(r, kinds("aws_organizations_policy"), "policy_id")
		if p == nil {
			p = byID[t.s]
		}
		target := r.known("target_id")
		switch {
		case p == nil:
			continue // a policy of elsewhere; what it says is not known, and service-linked roles do not mind
		case strings.HasPrefix(target, "r-"):
			target = ""
		case target == "" || strings.HasPrefix(target, "ou-"):
			m.note(r.addr, "which accounts are below its target is not in the plan: the policy is left out")
			continue
		}
		hung := orgPolicy{p.known("name"), m.document(p, "content")}
		switch p.known("type") {
		case "", "SERVICE_CONTROL_POLICY":
			m.org.scps[target] = append(m.org.scps[target], hung)
		case "RESOURCE_CONTROL_POLICY":
			m.org.rcps[target] = append(m.org.rcps[target], hung)
		}
	}
}

// organizationPolicies are those of an account. None limits the management account.
func (m *model) organizationPolicies(account string) (scps, rcps []orgPolicy) {
	if m.org.management[account] {
		return nil, nil
	}
	join := func(by map[string][]orgPolicy) []orgPolicy {
		return append(by[""][:len(by[""]):len(by[""])], by[account]...)
	}
	return join(m.org.scps), join(m.org.rcps)
}
