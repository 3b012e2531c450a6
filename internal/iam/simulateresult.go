package iam

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/policy"
)

// A simulation is a principal with everything that bears on it.
type simulation struct {
	caller         authz.Principal
	source         *directory.Identity // whose policies are simulated, or nil
	identity       []*authz.Document
	boundary       *authz.Document
	scps           [][]*authz.Document
	resourcePolicy *authz.Document
	owner          string // ResourceOwner, or ""
	context        authz.Context
	given          map[string]bool // keys of the context, in lower case
}

// addPrincipal adds the policies of a principal; another caller keeps its name.
func (s *simulation) addPrincipal(id directory.Identity, docs directory.Documents, otherCaller bool) {
	s.source = &id
	s.identity = slices.Concat(docs.Identity, s.identity)
	if s.boundary == nil {
		s.boundary = docs.Boundary
	}
	s.scps = docs.SCPs
	if !otherCaller {
		s.caller = id.Principal
	}
	s.caller.OrgID, s.caller.OrgPaths, s.caller.AccountRole = docs.Place.Organization, docs.Place.Paths, docs.Place.Role
}

// exclude leaves out policies of the principal.
func (s *simulation) exclude(list []iamapi.PolicyIdentifier) {
	for i := range list {
		p := &list[i]
		drop := func(d *authz.Document) bool {
			if in := p.InlinePolicyIdentifier; in != nil {
				return d.Name == api.Val(in.PolicyName) && d.Attached != d.Name && s.source != nil && holder(s.source) == api.Val(in.AttachmentType)+"/"+api.Val(in.AttachmentName)
			}
			return d.Name == api.Val(p.PolicyArn) && d.Name != ""
		}
		switch api.Val(p.PolicyType) {
		case iamapi.PolicyIdentifierPolicyTypeScp:
			s.scps = slices.Clone(s.scps)
			for l := range s.scps {
				s.scps[l] = slices.DeleteFunc(slices.Clone(s.scps[l]), drop)
			}
		case iamapi.PolicyIdentifierPolicyTypePermissionBoundary:
			if s.boundary != nil && (p.PolicyArn == nil || drop(s.boundary)) {
				s.boundary = nil
			}
		default:
			s.identity = slices.DeleteFunc(slices.Clone(s.identity), drop)
		}
	}
}

// holder is the kind and name of a principal, as in "user/ana".
func holder(id *directory.Identity) string {
	if id.Principal.Type == authz.User {
		return "user/" + id.Principal.Username
	}
	if id.Session != nil {
		return "role/" + id.Session.RoleName
	}
	if isGroup(id.Principal.ARN) {
		return "group/" + id.Principal.ARN[strings.LastIndexByte(id.Principal.ARN, '/')+1:]
	}
	return ""
}

// part is the evaluation of an action on a resource.
func (s *simulation) part(action, resource string) authz.Part {
	p := authz.Part{Action: action, Resource: authz.Resource{ARN: resource, Account: s.owner}, Policy: s.resourcePolicy}
	if a, err := arn.Parse(resource); err == nil && arn.IsAccount(a.Account) {
		p.Resource.Account = a.Account
	}
	if p.Resource.Account == "" {
		p.Resource.Account = s.caller.Account
	}
	return p
}

// result decides one action on one resource.
func (s *simulation) result(action, resource string) iamapi.EvaluationResult {
	req := authz.Request{
		Principal: s.caller, Context: s.context, Identity: s.identity, Boundary: s.boundary, SCPs: s.scps, Parts: []authz.Part{s.part(action, resource)},
	}
	var d authz.PartDecision
	if all := authz.Explain(&req); len(all.Parts) == 1 {
		d = all.Parts[0]
	}
	out := iamapi.EvaluationResult{
		EvalActionName: &action, EvalResourceName: &resource, EvalDecision: new(decisionName(d.Outcome)),
		MatchedStatements: s.statements(&d), MissingContextValues: s.missing(&req),
	}
	if s.caller.AccountRole != authz.NoOrganization {
		out.OrganizationsDecisionDetail = &iamapi.OrganizationsDecisionDetail{AllowedByOrganizations: new(passes(&d, authz.LayerSCP))}
	}
	if s.boundary != nil {
		out.PermissionsBoundaryDecisionDetail = &iamapi.PermissionsBoundaryDecisionDetail{
			AllowedByPermissionsBoundary: new(passes(&d, authz.LayerBoundary)),
		}
	}
	if s.scps == nil || passes(&d, authz.LayerSCP) {
		out.EvalDecisionDetails = details(&d, resource)
	}
	if resource == "*" {
		return out
	}
	out.ResourceSpecificResults = []iamapi.ResourceSpecificResult{{
		EvalResourceName: &resource, EvalResourceDecision: out.EvalDecision, MatchedStatements: out.MatchedStatements,
		MissingContextValues: out.MissingContextValues, PermissionsBoundaryDecisionDetail: out.PermissionsBoundaryDecisionDetail,
	}}
	if d.CrossAccount {
		out.ResourceSpecificResults[0].EvalDecisionDetails = out.EvalDecisionDetails
	}
	out.MissingContextValues = []string{} // told of the resource
	return out
}

func decisionName(o authz.Outcome) string {
	switch o {
	case authz.Allowed:
		return iamapi.PolicyEvaluationDecisionTypeAllowed
	case authz.ExplicitDeny:
		return iamapi.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return iamapi.PolicyEvaluationDecisionTypeImplicitDeny
}

// passes reports whether a limiting layer lets the request through: it neither denies nor is silent.
func passes(d *authz.PartDecision, l authz.Layer) bool {
	return !slices.Contains(d.Silent, l) && !slices.ContainsFunc(d.Matched, func(m authz.Match) bool {
		return m.Layer == l && m.Effect == policy.Deny
	})
}

// details tells what each side of a request across accounts says. In one account they are empty,
// and absent if there is no single resource.
func details(d *authz.PartDecision, resource string) map[string]string {
	switch {
	case !d.CrossAccount && resource == "*":
		return nil
	case !d.CrossAccount:
		return map[string]string{}
	}
	side := func(l authz.Layer) string {
		outcome := authz.ImplicitDeny
		for _, m := range d.Matched {
			if m.Layer != l {
				continue
			}
			if m.Effect == policy.Deny {
				return decisionName(authz.ExplicitDeny)
			}
			outcome = authz.Allowed
		}
		return decisionName(outcome)
	}
	return map[string]string{"IAM Policy": side(authz.LayerIdentity), "Resource Policy": side(authz.LayerResource)}
}

// statements are those that decided: of an explicit deny only those that deny.
func (s *simulation) statements(d *authz.PartDecision) []iamapi.Statement {
	out := []iamapi.Statement{}
	for _, m := range d.Matched {
		if denies := m.Effect == policy.Deny; denies != (d.Outcome == authz.ExplicitDeny) {
			continue
		}
		if m.Layer != authz.LayerIdentity && m.Layer != authz.LayerResource && m.Effect != policy.Deny {
			continue // limits are told of in their own details
		}
		st, ok := s.statement(&m)
		if ok {
			out = append(out, st)
		}
	}
	return out
}

func (s *simulation) statement(m *authz.Match) (iamapi.Statement, bool) {
	docs := slices.Concat(s.identity, []*authz.Document{s.boundary, s.resourcePolicy})
	docs = slices.Concat(append([][]*authz.Document{docs}, s.scps...)...)
	i := slices.IndexFunc(docs, func(d *authz.Document) bool {
		return d != nil && d.Source != nil && d.Name == m.Document &&
			slices.ContainsFunc(d.Source.Statements, func(st policy.Statement) bool { return st.Pos == m.Pos && st.Effect == m.Effect })
	})
	if i < 0 || m.Layer == authz.LayerSCP && docs[i].Owner != "" {
		return iamapi.Statement{}, false // the organization's own are its managing account's to see
	}
	id, kind := s.origin(docs[i], m.Layer)
	src := docs[i].Source.Source
	return iamapi.Statement{
		SourcePolicyId: &id, SourcePolicyType: &kind,
		StartPosition: position(src, begin(src, m.Pos.Start)), EndPosition: position(src, m.Pos.End),
	}, true
}

// What the simulator calls the types of policies. The API Reference lists other values (user, group,
// aws-managed, ...), which its answers do not have.
const (
	typeIdentity = "IAM Policy"
	typeResource = "Resource Policy"
	typeBoundary = "Permissions Boundary Policy"
)

// origin names a document and its type. Inline policies carry the principal's kind and name.
func (s *simulation) origin(d *authz.Document, l authz.Layer) (id, kind string) {
	switch kind = typeIdentity; l {
	case authz.LayerResource:
		kind = typeResource
	case authz.LayerBoundary:
		kind = typeBoundary
	case authz.LayerSCP:
		kind = iamapi.PolicySourceTypeNone
	}
	switch {
	case d.Owner == "" || l == authz.LayerResource: // of the request
		return d.Name, kind
	case d.Owner == "aws" || l == authz.LayerSCP || strings.HasPrefix(d.Name, "arn:"):
		return d.Name[strings.LastIndexByte(d.Name, '/')+1:], kind
	case s.source != nil:
		of, who, _ := strings.Cut(holder(s.source), "/")
		return of + "_" + who + "_" + d.Name, kind
	}
	return d.Name, kind
}

// begin is where the simulator has a statement begin: after what comes before it in the list, its
// bracket or the statement before; a statement that is in no list begins after its own brace.
func begin(src []byte, start int) int {
	if start < 0 || start > len(src) {
		return 0
	}
	const space = " \t\r\n"
	before := bytes.TrimRight(src[:start], space)
	switch {
	case bytes.HasSuffix(before, []byte(",")):
		return len(bytes.TrimRight(before[:len(before)-1], space))
	case bytes.HasSuffix(before, []byte("[")):
		return len(before)
	}
	return start + 1
}

// position is the line and column of an offset, both counted from one.
func position(src []byte, offset int) *iamapi.Position {
	before := src[:max(0, min(offset, len(src)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &iamapi.Position{Line: new(int32(line)), Column: new(int32(column))}
}

// missing are the keys that policies ask for and that neither the request nor its principal has.
func (s *simulation) missing(req *authz.Request) []string {
	docs := slices.Concat(s.identity, []*authz.Document{s.boundary, s.resourcePolicy})
	for _, level := range s.scps {
		for _, d := range level {
			if d.Owner == "" { // of the request
				docs = append(docs, d)
			}
		}
	}
	return slices.DeleteFunc(contextKeys(docs), func(key string) bool {
		return s.given[strings.ToLower(key)] || s.knows(strings.ToLower(key), &req.Parts[0].Resource)
	})
}

// knows reports whether the engine has a key from the principal or the resource.
func (s *simulation) knows(key string, r *authz.Resource) bool {
	p := &s.caller
	switch key {
	case "aws:principalarn":
		return p.ARN != ""
	case "aws:principalaccount", "aws:principaltype", "aws:resourceaccount":
		return true
	case "aws:userid":
		return p.UserID != ""
	case "aws:username":
		return p.Username != ""
	case "aws:principalorgid", "aws:principalorgpaths":
		return p.OrgID != ""
	case "aws:requestedregion":
		a, err := arn.Parse(r.ARN)
		return err == nil && a.Region != ""
	}
	tag, ok := strings.CutPrefix(key, "aws:principaltag/")
	if !ok {
		return false
	}
	for k := range p.Tags {
		if strings.EqualFold(k, tag) {
			return true
		}
	}
	return false
}
