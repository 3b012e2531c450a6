package live

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// account lists an account of which something is in the scenario, with its organization's policies.
func (r *reader) account(id string) error {
	if slices.ContainsFunc(r.sc.Accounts, func(a format.Account) bool { return a.ID == id }) {
		return nil
	}
	i := len(r.sc.Accounts)
	r.sc.Accounts = append(r.sc.Accounts, format.Account{ID: id, Name: id, EBS: map[string]format.EBS{}})
	return r.organization(i)
}

// defaults reads what the account of the launch does with volumes of which nothing is said.
func (r *reader) defaults(a *account) error {
	e := format.EBS{DefaultKmsKeyID: launch.AWSManagedAlias}
	path := "/accounts/0/ebs/" + a.Region
	on, err := ask[ec2api.GetEbsEncryptionByDefaultResult](r.ctx, r.Session, a, "ec2", "GetEbsEncryptionByDefault", &ec2api.GetEbsEncryptionByDefaultRequest{})
	if err == nil {
		e.EncryptionByDefault = api.Val(on.EbsEncryptionByDefault)
	} else if err := r.unread(err, path+"/encryptionByDefault"); err != nil {
		return err
	}
	key, err := ask[ec2api.GetEbsDefaultKmsKeyIdResult](r.ctx, r.Session, a, "ec2", "GetEbsDefaultKmsKeyId", &ec2api.GetEbsDefaultKmsKeyIdRequest{})
	if err == nil {
		e.DefaultKmsKeyID = api.Val(key.KmsKeyId)
	} else if err := r.unread(err, path+"/defaultKmsKeyId"); err != nil {
		return err
	}
	r.sc.Accounts[0].EBS[a.Region] = e
	return r.key(e.DefaultKmsKeyID, path+"/defaultKmsKeyId")
}

// Kinds of organization policies, and those that allow everything.
const (
	typeSCP, fullSCP = "SERVICE_CONTROL_POLICY", "p-FullAWSAccess"
	typeRCP, fullRCP = "RESOURCE_CONTROL_POLICY", "p-RCPFullAWSAccess"
)

// organization reads the policies of the organization that an account is in.
func (r *reader) organization(i int) error {
	a := &r.sc.Accounts[i]
	paths := []string{fmt.Sprintf("/accounts/%d/scps", i), fmt.Sprintf("/accounts/%d/rcps", i)}
	org, err := r.organizationOf(a.ID)
	switch {
	case is(err, "AWSOrganizationsNotInUseException"):
		return nil
	case err != nil:
		return r.unreadPolicies(err, a, paths)
	}
	manager := api.Val(org.MasterAccountId)
	own := r.access(a.ID) != nil
	if own {
		a.Org = api.Val(org.Id)
	}
	if manager == a.ID {
		return nil // policies do not limit the management account
	}
	var refused error
	for _, who := range r.readersOf(org) {
		scps, err := r.effective(who, a.ID, typeSCP, fullSCP)
		var rcps []format.OrgPolicy
		if err == nil {
			rcps, err = r.effective(who, a.ID, typeRCP, fullRCP)
		}
		switch {
		case err == nil:
			a.Org, a.SCPs, a.RCPs = api.Val(org.Id), scps, rcps
			return nil
		case is(err, "ChildNotFoundException", "TargetNotFoundException"):
			err = noAccess(a.ID) // it is in another organization
		}
		if refused == nil {
			refused = err
		}
	}
	if r.access(manager) == nil {
		refused = fmt.Errorf("%w; the management account %s may", refused, manager)
	}
	return r.unreadPolicies(refused, a, paths)
}

// unreadPolicies notes that the organization policies of an account are not known, or takes them for
// ones that deny nothing.
func (r *reader) unreadPolicies(err error, a *format.Account, paths []string) error {
	if !r.cfg.TrustOrganization {
		return r.unread(err, paths...)
	}
	if err := r.unread(err); err != nil {
		return err
	}
	r.note("assumed: no organization policy denies anything to account %s, or on its keys; they could not be read: %v", a.ID, err)
	return nil
}

// organizationOf is the organization of an account. If the account may not tell, or there are no
// credentials for it, it is the first of another's, which may be the same.
func (r *reader) organizationOf(id string) (*organizationsapi.Organization, error) {
	asked := slices.Clone(r.accounts)
	slices.SortStableFunc(asked, func(a, b *account) int { return first(a.id == id) - first(b.id == id) })
	var refused error
	for _, a := range asked {
		out, err := ask[organizationsapi.DescribeOrganizationResponse](r.ctx, r.Session, a, "organizations", "DescribeOrganization",
			&organizationsapi.DescribeOrganizationRequest{})
		switch {
		case err == nil && out.Organization != nil:
			return out.Organization, nil
		case is(err, "AWSOrganizationsNotInUseException") && a.id == id:
			return nil, err
		case err != nil && !is(err, "AWSOrganizationsNotInUseException") && r.unread(err) != nil:
			return nil, err
		case refused == nil && err != nil && a.id == id:
			refused = err
		}
	}
	if refused == nil {
		refused = noAccess(id)
	}
	return nil, refused
}

func first(yes bool) int {
	if yes {
		return 0
	}
	return 1
}

// readersOf are the accounts that may be able to read an organization's policies: its management
// account first.
func (r *reader) readersOf(org *organizationsapi.Organization) []*account {
	out := slices.Clone(r.accounts)
	manager := api.Val(org.MasterAccountId)
	slices.SortStableFunc(out, func(a, b *account) int { return first(a.id == manager) - first(b.id == manager) })
	return out
}

// A level is what hangs on one place of an organization.
type level struct {
	policies []format.OrgPolicy
	full     bool // with full access
}

// effective puts together the policies of a kind on an account and on all above it. All levels have
// to allow; the format knows one. Of levels with full access only the denies count, so that one
// level without it can be told; more cannot.
//
// Source: Organizations User Guide, "SCP evaluation".
func (r *reader) effective(who *account, id, kind, full string) ([]format.OrgPolicy, error) {
	var levels []level
	narrow := 0
	for target := id; target != ""; {
		l, err := r.hanging(who, target, kind, full)
		if err != nil {
			return nil, err
		}
		if !l.full && len(l.policies) > 0 {
			narrow++
		}
		levels = append(levels, l)
		if target, err = r.parent(who, target); err != nil {
			return nil, err
		}
	}
	if narrow > 1 {
		return nil, reason(fmt.Sprintf("%d levels of the organization above account %s allow only what their policies list, and a scenario can tell of one", narrow, id))
	}
	var out []format.OrgPolicy
	for _, l := range levels {
		limits := !l.full && len(l.policies) > 0
		for _, p := range l.policies {
			switch {
			case limits:
				p.AllowList = true
			case narrow > 0:
				if p.Policy = denies(p.Policy); p.Policy == nil {
					continue
				}
			}
			if !slices.ContainsFunc(out, func(q format.OrgPolicy) bool { return q.Name == p.Name }) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// hanging are the policies of a kind on a root, unit or account.
func (r *reader) hanging(who *account, target, kind, full string) (level, error) {
	var l level
	err := pages(func(next *string) (*string, error) {
		list, err := ask[organizationsapi.ListPoliciesForTargetResponse](r.ctx, r.Session, who, "organizations", "ListPoliciesForTarget",
			&organizationsapi.ListPoliciesForTargetRequest{TargetId: &target, Filter: &kind, NextToken: next})
		if is(err, "PolicyTypeNotEnabledException") {
			l.full = true
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, p := range list.Policies {
			if api.Val(p.Id) == full {
				l.full = true
				continue
			}
			doc, err := ask[organizationsapi.DescribePolicyResponse](r.ctx, r.Session, who, "organizations", "DescribePolicy",
				&organizationsapi.DescribePolicyRequest{PolicyId: p.Id})
			if err != nil {
				return nil, err
			}
			l.policies = append(l.policies, format.OrgPolicy{Name: api.Val(p.Name), Policy: format.Document(api.Val(doc.Policy.Content))})
		}
		return list.NextToken, nil
	})
	return l, err
}

// parent is what an account or unit is in; "" of a root.
func (r *reader) parent(who *account, child string) (string, error) {
	if strings.HasPrefix(child, "r-") {
		return "", nil
	}
	list, err := ask[organizationsapi.ListParentsResponse](r.ctx, r.Session, who, "organizations", "ListParents", &organizationsapi.ListParentsRequest{ChildId: &child})
	if err != nil || len(list.Parents) == 0 {
		return "", err
	}
	return api.Val(list.Parents[0].Id), nil
}

// denies is a policy without the statements that allow; nil if there is nothing left.
func denies(doc format.Document) format.Document {
	var members map[string]json.RawMessage
	if json.Unmarshal(doc, &members) != nil {
		return doc
	}
	var list []json.RawMessage
	if json.Unmarshal(members["Statement"], &list) != nil {
		list = []json.RawMessage{members["Statement"]}
	}
	list = slices.DeleteFunc(list, func(st json.RawMessage) bool {
		var s struct{ Effect string }
		return json.Unmarshal(st, &s) != nil || s.Effect != "Deny"
	})
	if len(list) == 0 {
		return nil
	}
	var err error
	if members["Statement"], err = json.Marshal(list); err != nil {
		return doc
	}
	out, err := json.Marshal(members)
	if err != nil {
		return doc
	}
	return out
}
