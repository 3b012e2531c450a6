package live

import (
	"fmt"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A holder of policies is a role, user or group. Each of its functions makes one call.
type holder struct {
	inline   func(marker *string) (names []string, next *string, _ error)
	attached func(marker *string) (policies []iamapi.AttachedPolicy, next *string, _ error)
	document func(policy string) (*string, error)
}

// policies reads the policies of a principal as if all were its own.
func (r *reader) policies(who *account, p *format.Principal, path string) error {
	name := short(p.ARN)
	if p.Kind != format.KindUser {
		return r.held(who, r.ofRole(who, name), p, path, "")
	}
	if err := r.held(who, r.ofUser(who, name), p, path, ""); err != nil {
		return err
	}
	err := pages(func(marker *string) (*string, error) {
		out, err := ask[iamapi.ListGroupsForUserResponse](r.ctx, r.Session, who, "iam", "ListGroupsForUser", &iamapi.ListGroupsForUserRequest{UserName: &name, Marker: marker})
		if err != nil {
			return nil, r.add(p, "policies of the user's groups", nil, err, path)
		}
		for _, g := range out.Groups {
			group := api.Val(g.GroupName)
			if err := r.held(who, r.ofGroup(who, group), p, path, " of group "+group); err != nil {
				return nil, err
			}
		}
		return out.Marker, nil
	})
	return err
}

// held adds the policies of a holder to those of a principal.
func (r *reader) held(who *account, h holder, p *format.Principal, path, suffix string) error {
	err := pages(func(marker *string) (*string, error) {
		names, next, err := h.inline(marker)
		if err != nil {
			return nil, r.add(p, "own policies"+suffix, nil, err, path)
		}
		for _, n := range names {
			doc, err := h.document(n)
			if err := r.add(p, n+suffix, doc, err, path); err != nil {
				return nil, err
			}
		}
		return next, nil
	})
	if err != nil {
		return err
	}
	return pages(func(marker *string) (*string, error) {
		policies, next, err := h.attached(marker)
		if err != nil {
			return nil, r.add(p, "attached policies"+suffix, nil, err, path)
		}
		for _, a := range policies {
			doc, err := r.managed(who, api.Val(a.PolicyArn))
			if err := r.add(p, api.Val(a.PolicyName)+suffix, doc, err, path); err != nil {
				return nil, err
			}
		}
		return next, nil
	})
}

// add adds a policy, or one that is not known.
func (r *reader) add(p *format.Principal, name string, encoded *string, err error, path string) error {
	at := fmt.Sprintf("%s/policies/%d/policy", path, len(p.Policies))
	doc := format.Document(noStatements)
	if err == nil {
		doc, err = document(encoded)
	}
	p.Policies = append(p.Policies, format.InlinePolicy{Name: name, Policy: doc})
	return r.unread(err, at)
}

func (r *reader) ofRole(who *account, name string) holder {
	return holder{
		func(marker *string) ([]string, *string, error) {
			out, err := ask[iamapi.ListRolePoliciesResponse](r.ctx, r.Session, who, "iam", "ListRolePolicies", &iamapi.ListRolePoliciesRequest{RoleName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		func(marker *string) ([]iamapi.AttachedPolicy, *string, error) {
			out, err := ask[iamapi.ListAttachedRolePoliciesResponse](r.ctx, r.Session, who, "iam", "ListAttachedRolePolicies", &iamapi.ListAttachedRolePoliciesRequest{RoleName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		func(policy string) (*string, error) {
			out, err := ask[iamapi.GetRolePolicyResponse](r.ctx, r.Session, who, "iam", "GetRolePolicy", &iamapi.GetRolePolicyRequest{RoleName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
	}
}

func (r *reader) ofUser(who *account, name string) holder {
	return holder{
		func(marker *string) ([]string, *string, error) {
			out, err := ask[iamapi.ListUserPoliciesResponse](r.ctx, r.Session, who, "iam", "ListUserPolicies", &iamapi.ListUserPoliciesRequest{UserName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		func(marker *string) ([]iamapi.AttachedPolicy, *string, error) {
			out, err := ask[iamapi.ListAttachedUserPoliciesResponse](r.ctx, r.Session, who, "iam", "ListAttachedUserPolicies", &iamapi.ListAttachedUserPoliciesRequest{UserName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		func(policy string) (*string, error) {
			out, err := ask[iamapi.GetUserPolicyResponse](r.ctx, r.Session, who, "iam", "GetUserPolicy", &iamapi.GetUserPolicyRequest{UserName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
	}
}

func (r *reader) ofGroup(who *account, name string) holder {
	return holder{
		func(marker *string) ([]string, *string, error) {
			out, err := ask[iamapi.ListGroupPoliciesResponse](r.ctx, r.Session, who, "iam", "ListGroupPolicies", &iamapi.ListGroupPoliciesRequest{GroupName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		func(marker *string) ([]iamapi.AttachedPolicy, *string, error) {
			out, err := ask[iamapi.ListAttachedGroupPoliciesResponse](r.ctx, r.Session, who, "iam", "ListAttachedGroupPolicies", &iamapi.ListAttachedGroupPoliciesRequest{GroupName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		func(policy string) (*string, error) {
			out, err := ask[iamapi.GetGroupPolicyResponse](r.ctx, r.Session, who, "iam", "GetGroupPolicy", &iamapi.GetGroupPolicyRequest{GroupName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
	}
}
