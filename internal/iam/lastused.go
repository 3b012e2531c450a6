package iam

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// GetAccessKeyLastUsed tells when, where and for what an access key of the account was last used.
// Source: IAM API Reference, GetAccessKeyLastUsed.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, c *guard.Call, in *iamapi.GetAccessKeyLastUsedRequest) (*iamapi.GetAccessKeyLastUsedResponse, error) {
	id := api.Val(in.AccessKeyId)
	var out *iamapi.GetAccessKeyLastUsedResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		key, ok, err := directory.AccessKeys.Get(tx, id)
		if err != nil {
			return err
		}
		part := authz.Part{Action: "iam:GetAccessKeyLastUsed", Resource: s.resource(arn.User(c.Account(), "/", "*"), c.Account(), nil)}
		mine := ok && key.Account == c.Account()
		if mine && key.User == "" {
			part.Resource = s.resource(arn.Root(key.Account), key.Account, nil)
		}
		if mine && key.User != "" {
			p, err := s.load(tx, userKind, key.Account, key.User)
			if err != nil {
				return err
			}
			part = s.part(p, "GetAccessKeyLastUsed")
		}
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		if !mine {
			return noSuchEntity("The Access Key with id %s cannot be found.", id)
		}
		use, used, err := s.dir.KeyUse(tx, id)
		out = &iamapi.GetAccessKeyLastUsedResponse{
			UserName: api.Opt(key.User), AccessKeyLastUsed: &iamapi.AccessKeyLastUsed{ServiceName: new(notHere), Region: new(notHere)},
		}
		if used {
			out.AccessKeyLastUsed = &iamapi.AccessKeyLastUsed{LastUsedDate: &use.At, ServiceName: &use.Service, Region: &use.Region}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// A granting is a policy and where it hangs.
type granting struct {
	name, arn, document string
	holder              *principal // of an inline policy
}

// ListPoliciesGrantingServiceAccess lists, for each service, the policies of a user, group or role
// that allow any of its actions. Source: IAM API Reference, ListPoliciesGrantingServiceAccess.
func (s *Service) ListPoliciesGrantingServiceAccess(ctx context.Context, c *guard.Call, in *iamapi.ListPoliciesGrantingServiceAccessRequest) (*iamapi.ListPoliciesGrantingServiceAccessResponse, error) {
	a, err := arn.Parse(api.Val(in.Arn))
	k, known := map[string]kind{"user": userKind, "role": roleKind, "group": groupKind}[a.Type()]
	if err != nil || !known || a.Service != "iam" || a.Account != c.Account() {
		return nil, apierr.Newf(codeInvalid, "Invalid Entity Arn: %s does not clearly define entity type and name.", api.Val(in.Arn))
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	p, err := s.page(c, strings.Join(append([]string{api.Val(in.Arn)}, in.ServiceNamespaces...), "\x00"), in.Marker, nil)
	if err != nil {
		return nil, err
	}
	var all []granting
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		p, err := s.authorized(tx, c, k, &name, "ListPoliciesGrantingServiceAccess", nil)
		if err != nil {
			return err
		}
		all, err = s.grantings(tx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListPoliciesGrantingServiceAccessResponse{PoliciesGrantingServiceAccess: []iamapi.ListPoliciesGrantingServiceAccessEntry{}}
	from, _ := strconv.Atoi(p.after) // sealed; "" is the beginning
	end, last := min(from+p.limit, len(in.ServiceNamespaces)), ""
	if end < len(in.ServiceNamespaces) {
		last = strconv.Itoa(end)
	}
	out.IsTruncated, out.Marker = s.end(p, last)
	for _, namespace := range in.ServiceNamespaces[from:end] {
		entry := iamapi.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: &namespace, Policies: []iamapi.PolicyGrantingServiceAccess{}}
		for _, g := range all {
			if allowsService(g.document, namespace) {
				entry.Policies = append(entry.Policies, g.show())
			}
		}
		out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
	}
	return out, nil
}

// grantings are the policies of a principal, and of a user's groups.
func (s *Service) grantings(tx store.Tx, p *principal) ([]granting, error) {
	holders := []*principal{p}
	if p.user != nil {
		groups, err := s.dir.GroupsOf(tx, *p.user)
		if err != nil {
			return nil, err
		}
		for i := range groups {
			holders = append(holders, ofGroup(&groups[i]))
		}
	}
	var all []granting
	for _, h := range holders {
		for _, name := range slices.Sorted(maps.Keys(*h.inline)) {
			all = append(all, granting{name: name, document: (*h.inline)[name], holder: h})
		}
		for _, policyARN := range *h.attachedPolicy {
			m, err := s.findPolicy(tx, p.account, policyARN)
			if err != nil {
				return nil, err
			}
			g := granting{name: attachmentOf(policyARN).name, arn: policyARN}
			switch {
			case m.customer != nil:
				g.document = m.customer.DefaultDocument()
			case m.aws != nil:
				g.document = m.aws.Document()
			}
			all = append(all, g)
		}
	}
	return all, nil
}

func (g *granting) show() iamapi.PolicyGrantingServiceAccess {
	if g.holder == nil {
		return iamapi.PolicyGrantingServiceAccess{PolicyName: &g.name, PolicyType: new(iamapi.PolicyTypeMANAGED), PolicyArn: &g.arn}
	}
	return iamapi.PolicyGrantingServiceAccess{
		PolicyName: &g.name, PolicyType: new(iamapi.PolicyTypeINLINE), EntityType: new(strings.ToUpper(g.holder.name)), EntityName: &g.holder.label,
	}
}

// allowsService reports whether a statement of a document allows an action of a service.
func allowsService(document, namespace string) bool {
	doc, err := policy.Parse([]byte(document), policy.Identity)
	if err != nil {
		return false
	}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		if len(st.NotActions) > 0 {
			return true
		}
		for _, action := range st.Actions {
			service, _, _ := strings.Cut(action.Value, ":")
			if service == "*" || strings.EqualFold(service, namespace) {
				return true
			}
		}
	}
	return false
}
