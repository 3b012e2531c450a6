package scenario

import (
	"context"
	"net/url"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/arn"
)

// devAdmin is the user that every account of a development server has.
const devAdmin = "admin"

func (x *exporter) roles(ctx context.Context, account string) error {
	return pages(func(marker *string) (*string, error) {
		var list iamapi.ListRolesResponse
		if err := x.s.ask(ctx, x.at(account), "iam", "ListRoles", &iamapi.ListRolesRequest{Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, r := range list.Roles {
			p := Principal{ARN: api.Val(r.Arn), Kind: kindRole, Policies: []InlinePolicy{}}
			if arn.IsServiceLinkedRole(p.ARN) {
				p.Kind = kindLinked
			} else if err := x.rolePolicies(ctx, account, api.Val(r.RoleName), &p); err != nil {
				return nil, err
			}
			x.sc.Principals = append(x.sc.Principals, p)
		}
		return list.Marker, nil
	})
}

func (x *exporter) rolePolicies(ctx context.Context, account, name string, p *Principal) error {
	who := x.at(account)
	var role iamapi.GetRoleResponse // a list leaves the boundary out
	if err := x.s.ask(ctx, who, "iam", "GetRole", &iamapi.GetRoleRequest{RoleName: &name}, &role); err != nil {
		return err
	}
	if err := x.boundary(ctx, who, role.Role.PermissionsBoundary, p); err != nil {
		return err
	}
	err := pages(func(marker *string) (*string, error) {
		var list iamapi.ListRolePoliciesResponse
		if err := x.s.ask(ctx, who, "iam", "ListRolePolicies", &iamapi.ListRolePoliciesRequest{RoleName: &name, Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, n := range list.PolicyNames {
			var out iamapi.GetRolePolicyResponse
			if err := x.s.ask(ctx, who, "iam", "GetRolePolicy", &iamapi.GetRolePolicyRequest{RoleName: &name, PolicyName: &n}, &out); err != nil {
				return nil, err
			}
			if err := inline(p, n, out.PolicyDocument); err != nil {
				return nil, err
			}
		}
		return list.Marker, nil
	})
	if err != nil {
		return err
	}
	return pages(func(marker *string) (*string, error) {
		var list iamapi.ListAttachedRolePoliciesResponse
		err := x.s.ask(ctx, who, "iam", "ListAttachedRolePolicies", &iamapi.ListAttachedRolePoliciesRequest{RoleName: &name, Marker: marker}, &list)
		if err != nil {
			return nil, err
		}
		return list.Marker, x.attached(ctx, who, list.AttachedPolicies, p)
	})
}

func (x *exporter) users(ctx context.Context, account string) error {
	return pages(func(marker *string) (*string, error) {
		var list iamapi.ListUsersResponse
		if err := x.s.ask(ctx, x.at(account), "iam", "ListUsers", &iamapi.ListUsersRequest{Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, u := range list.Users {
			if api.Val(u.UserName) == devAdmin {
				continue
			}
			p := Principal{ARN: api.Val(u.Arn), Kind: kindUser, Policies: []InlinePolicy{}}
			if err := x.userPolicies(ctx, account, api.Val(u.UserName), &p); err != nil {
				return nil, err
			}
			x.sc.Principals = append(x.sc.Principals, p)
		}
		return list.Marker, nil
	})
}

func (x *exporter) userPolicies(ctx context.Context, account, name string, p *Principal) error {
	who := x.at(account)
	var user iamapi.GetUserResponse
	if err := x.s.ask(ctx, who, "iam", "GetUser", &iamapi.GetUserRequest{UserName: &name}, &user); err != nil {
		return err
	}
	if err := x.boundary(ctx, who, user.User.PermissionsBoundary, p); err != nil {
		return err
	}
	err := pages(func(marker *string) (*string, error) {
		var list iamapi.ListUserPoliciesResponse
		if err := x.s.ask(ctx, who, "iam", "ListUserPolicies", &iamapi.ListUserPoliciesRequest{UserName: &name, Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, n := range list.PolicyNames {
			var out iamapi.GetUserPolicyResponse
			if err := x.s.ask(ctx, who, "iam", "GetUserPolicy", &iamapi.GetUserPolicyRequest{UserName: &name, PolicyName: &n}, &out); err != nil {
				return nil, err
			}
			if err := inline(p, n, out.PolicyDocument); err != nil {
				return nil, err
			}
		}
		return list.Marker, nil
	})
	if err != nil {
		return err
	}
	return pages(func(marker *string) (*string, error) {
		var list iamapi.ListAttachedUserPoliciesResponse
		err := x.s.ask(ctx, who, "iam", "ListAttachedUserPolicies", &iamapi.ListAttachedUserPoliciesRequest{UserName: &name, Marker: marker}, &list)
		if err != nil {
			return nil, err
		}
		return list.Marker, x.attached(ctx, who, list.AttachedPolicies, p)
	})
}

// inline adds a policy. The one that loading adds for the EC2 call is none of the scenario's.
func inline(p *Principal, name string, encoded *string) error {
	doc, err := document(encoded)
	if err == nil && name != LaunchPolicy {
		p.Policies = append(p.Policies, InlinePolicy{Name: name, Policy: doc})
	}
	return err
}

// document undoes the encoding of policies in answers of IAM. Source: IAM API Reference,
// GetRolePolicy: "URL-encoded compliant with RFC 3986".
func document(encoded *string) (Document, error) {
	doc, err := url.PathUnescape(api.Val(encoded))
	return Document(doc), err
}

// attached adds managed policies as if they were the principal's own.
func (x *exporter) attached(ctx context.Context, who place, list []iamapi.AttachedPolicy, p *Principal) error {
	for _, a := range list {
		doc, err := x.managed(ctx, who, api.Val(a.PolicyArn))
		if err != nil {
			return err
		}
		if err := inline(p, api.Val(a.PolicyName), doc); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) boundary(ctx context.Context, who place, b *iamapi.AttachedPermissionsBoundary, p *Principal) error {
	if b == nil {
		return nil
	}
	doc, err := x.managed(ctx, who, api.Val(b.PermissionsBoundaryArn))
	if err == nil {
		p.Boundary, err = document(doc)
	}
	return err
}

// managed is what a managed policy says, encoded.
func (x *exporter) managed(ctx context.Context, who place, policy string) (*string, error) {
	var out iamapi.GetPolicyResponse
	if err := x.s.ask(ctx, who, "iam", "GetPolicy", &iamapi.GetPolicyRequest{PolicyArn: &policy}, &out); err != nil {
		return nil, err
	}
	var version iamapi.GetPolicyVersionResponse
	err := x.s.ask(ctx, who, "iam", "GetPolicyVersion", &iamapi.GetPolicyVersionRequest{
		PolicyArn: &policy, VersionId: out.Policy.DefaultVersionId,
	}, &version)
	if err != nil {
		return nil, err
	}
	return version.PolicyVersion.Document, nil
}
