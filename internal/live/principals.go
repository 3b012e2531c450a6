package live

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// names finds roles and users that a policy names.
var names = regexp.MustCompile(`arn:aws:iam::[0-9]{12}:(?:role|user)/[A-Za-z0-9+=,.@_/-]+`)

// named reads the roles and users that a policy names and that exist. One with a wildcard behind it is
// a pattern, and none.
func (r *reader) named(policy string) error {
	found := map[string]bool{}
	for _, at := range names.FindAllStringIndex(policy, -1) {
		if end := at[1]; end < len(policy) && policy[end] == '"' {
			found[policy[at[0]:at[1]]] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := r.principal(name, false); err != nil {
			return err
		}
	}
	return nil
}

// principal reads a role or user with its policies. One that does not exist is not listed. One that
// needs to be there, because something says that it acts, is listed if nobody can tell.
func (r *reader) principal(name string, needed bool) error {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || a.Type() != "role" && a.Type() != "user" ||
		slices.ContainsFunc(r.sc.Principals, func(p format.Principal) bool { return p.ARN == name }) {
		return nil
	}
	who := r.access(a.Account)
	if who == nil && !needed {
		return nil
	}
	if err := r.account(a.Account); err != nil {
		return err
	}
	p := format.Principal{ARN: name, Kind: format.KindRole}
	switch {
	case arn.IsServiceLinkedRole(name):
		p.Kind = format.KindLinked
	case a.Type() == "user":
		p.Kind = format.KindUser
	}
	path := fmt.Sprintf("/principals/%d", len(r.sc.Principals))
	if who == nil {
		r.sc.Principals = append(r.sc.Principals, p)
		return r.unread(noAccess(a.Account), r.unreadable(p, path)...)
	}
	found, boundary, err := r.identity(who, &p, a.ID())
	switch {
	case is(err, "NoSuchEntity", "NoSuchEntityException"):
		return nil
	case err != nil:
		r.sc.Principals = append(r.sc.Principals, p)
		return r.unread(err, r.unreadable(p, path)...)
	}
	if slices.ContainsFunc(r.sc.Principals, func(q format.Principal) bool { return q.ARN == found }) {
		return nil
	}
	p.ARN = found // with the path that it has
	r.sc.Principals = append(r.sc.Principals, p)
	at := &r.sc.Principals[len(r.sc.Principals)-1]
	if p.Kind == format.KindLinked {
		return nil // nobody can give it anything
	}
	return errors.Join(r.policies(who, at, path), r.boundary(who, at, boundary, path))
}

// unreadable are the places of what belongs to a principal.
func (r *reader) unreadable(p format.Principal, path string) []string {
	if p.Kind == format.KindLinked {
		return nil // AWS gives it what it has
	}
	return []string{path + "/policies"}
}

// identity looks a principal up. found is its ARN.
func (r *reader) identity(who *account, p *format.Principal, resource string) (found string, boundary *iamapi.AttachedPermissionsBoundary, _ error) {
	name := short(resource)
	if p.Kind == format.KindUser {
		out, err := ask[iamapi.GetUserResponse](r.ctx, r.Session, who, "iam", "GetUser", &iamapi.GetUserRequest{UserName: &name})
		if err != nil {
			return "", nil, err
		}
		p.ID = api.Val(out.User.UserId)
		return api.Val(out.User.Arn), out.User.PermissionsBoundary, nil
	}
	out, err := ask[iamapi.GetRoleResponse](r.ctx, r.Session, who, "iam", "GetRole", &iamapi.GetRoleRequest{RoleName: &name})
	if err != nil {
		return "", nil, err
	}
	p.ID = api.Val(out.Role.RoleId)
	if linked := arn.IsServiceLinkedRole(api.Val(out.Role.Arn)); linked != (p.Kind == format.KindLinked) {
		p.Kind = format.KindRole
		if linked {
			p.Kind = format.KindLinked
		}
	}
	return api.Val(out.Role.Arn), out.Role.PermissionsBoundary, nil
}

func short(resource string) string { return resource[strings.LastIndexByte(resource, '/')+1:] }

func (r *reader) boundary(who *account, p *format.Principal, b *iamapi.AttachedPermissionsBoundary, path string) error {
	if b == nil {
		return nil
	}
	doc, err := r.managed(who, api.Val(b.PermissionsBoundaryArn))
	p.Boundary = format.Document(noStatements)
	if err == nil {
		p.Boundary, err = document(doc)
	}
	return r.unread(err, path+"/boundary")
}

// managed is what a managed policy says, encoded.
func (r *reader) managed(who *account, policy string) (*string, error) {
	out, err := ask[iamapi.GetPolicyResponse](r.ctx, r.Session, who, "iam", "GetPolicy", &iamapi.GetPolicyRequest{PolicyArn: &policy})
	if err != nil {
		return nil, err
	}
	version, err := ask[iamapi.GetPolicyVersionResponse](r.ctx, r.Session, who, "iam", "GetPolicyVersion",
		&iamapi.GetPolicyVersionRequest{PolicyArn: &policy, VersionId: out.Policy.DefaultVersionId})
	if err != nil {
		return nil, err
	}
	return version.PolicyVersion.Document, nil
}

// document undoes the encoding of policies in answers of IAM.
//
// Source: IAM API Reference, GetRolePolicy: "URL-encoded compliant with RFC 3986".
func document(encoded *string) (format.Document, error) {
	doc, err := url.PathUnescape(api.Val(encoded))
	return format.Document(doc), err
}
