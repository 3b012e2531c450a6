// Package literal is a second engine of authorization, for tests: a literal reading of the rules, beside
// which package authz is held.
package literal

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// literal is a second engine, for requests without unknowns: the rules as the pages tell them,
// one question after the other, on the parsed documents, with regular expressions and maps. It
// shares no code with the first.
type literal struct {
	req  *authz.Request
	part *authz.Part
	keys map[string]authz.Value // by lower-case name
}

// Decide decides one part of a request: the outcome, and the layer that made it.
func Decide(req *authz.Request, i int) (authz.Outcome, authz.Layer) {
	l := literal{req: req, part: &req.Parts[i], keys: map[string]authz.Value{}}
	l.derive()
	for _, e := range append(slices.Clone(req.Context), l.part.Context...) {
		l.keys[strings.ToLower(e.Key)] = e.Value
	}
	return l.decide()
}

func (l *literal) put(key, value string) {
	if value != "" {
		l.keys[strings.ToLower(key)] = authz.Value{One: value}
	}
}

func (l *literal) putAll(key string, values []string) {
	if len(values) > 0 {
		l.keys[strings.ToLower(key)] = authz.Value{List: values, Multi: true}
	}
}

func (l *literal) derive() {
	p, r := l.req.Principal, l.part.Resource
	l.put("aws:SecureTransport", "true")
	l.put("aws:ViaAWSService", "false")
	l.put("aws:PrincipalAccount", p.Account)
	l.put("aws:PrincipalOrgID", p.OrgID)
	l.put("aws:ResourceAccount", r.Account)
	l.put("aws:ResourceOrgID", r.OrgID)
	for k, v := range p.Tags {
		l.keys["aws:principaltag/"+strings.ToLower(k)] = authz.Value{One: v}
	}
	for _, t := range r.Tags {
		l.keys["aws:resourcetag/"+strings.ToLower(t.Key)] = authz.Value{One: t.Value}
	}
	if expression(`(?i)^(iam|organizations):`).MatchString(l.part.Action) {
		l.put("aws:RequestedRegion", "us-east-1")
	}
	if f := strings.SplitN(r.ARN, ":", 6); len(f) == 6 {
		l.put("aws:RequestedRegion", f[3])
	}
	if strings.HasPrefix(l.part.Action, "kms:") {
		l.put("kms:CallerAccount", p.Account)
	}
	if l.part.Action == "kms:CreateGrant" {
		l.put("kms:GrantIsForAWSResource", "false")
	}
	if p.Type == authz.Anonymous {
		l.put("aws:PrincipalType", "Anonymous")
		l.put("aws:userid", "anonymous")
		return
	}
	l.put("aws:userid", p.UserID)
	l.put("aws:PrincipalIsAWSService", "false")
	switch p.Type {
	case authz.Service:
		l.put("aws:PrincipalIsAWSService", "true")
		l.put("aws:PrincipalServiceName", p.ARN)
		l.keys["aws:principalservicenameslist"] = authz.Value{List: []string{p.ARN}, Multi: true}
	case authz.User:
		l.put("aws:PrincipalType", "User")
		l.put("aws:PrincipalArn", p.ARN)
		l.put("aws:username", p.ARN[strings.LastIndex(p.ARN, "/")+1:])
	case authz.RoleSession:
		l.put("aws:PrincipalType", "AssumedRole")
		l.put("aws:PrincipalArn", p.RoleARN)
	case authz.FederatedUser:
		l.put("aws:PrincipalType", "FederatedUser")
		l.put("aws:PrincipalArn", p.ARN)
	case authz.Root:
		l.put("aws:PrincipalType", "Account")
		l.put("aws:PrincipalArn", p.ARN)
	}
	l.putAll("aws:PrincipalOrgPaths", l.req.Principal.OrgPaths)
	l.putAll("aws:ResourceOrgPaths", l.part.Resource.OrgPaths)
}

// has reports whether a document has a statement of an effect that applies. names filters by how
// the statement names the caller; nil for documents without principals.
func (l *literal) has(effect policy.Effect, docs []*authz.Document, names func(*authz.Document, *policy.Statement) bool) bool {
	for _, d := range docs {
		if d == nil {
			continue
		}
		for i := range d.Source.Statements {
			s := &d.Source.Statements[i]
			if s.Effect == effect && (names == nil || names(d, s)) && l.applies(d, s) {
				return true
			}
		}
	}
	return false
}

func (l *literal) decide() (authz.Outcome, authz.Layer) {
	req, part, p := l.req, l.part, &l.req.Principal
	retire := part.Action == "kms:RetireGrant"
	linked := p.Type == authz.RoleSession && strings.Contains(p.RoleARN, ":role/aws-service-role/")
	person := p.Type != authz.Service && p.Type != authz.Anonymous
	scps := person && !linked && p.AccountRole != authz.Management
	owner := part.Resource.AccountRole
	if owner == authz.NoOrganization && slices.Contains([]string{"", p.Account}, part.Resource.Account) {
		owner = p.AccountRole
	}
	rcps := !linked && !retire && !part.Resource.AWSManaged && owner != authz.Management &&
		expression(`^(kms|sts|sqs|s3|autoscaling):`).MatchString(part.Action)
	own := authz.LayerResource
	if strings.HasPrefix(part.Action, "sts:") && part.Authoritative {
		own = authz.LayerTrust
	}

	if part.Action == "sts:GetCallerIdentity" { // whatever the policies say
		return authz.Allowed, authz.LayerNone
	}
	if by, denied := l.denied(scps, rcps, retire, own); denied {
		return authz.ExplicitDeny, by
	}
	for _, level := range req.SCPs {
		if scps && !l.has(policy.Allow, level, nil) {
			return authz.ImplicitDeny, authz.LayerSCP
		}
	}
	if req.Endpoint != nil && !l.has(policy.Allow, []*authz.Document{req.Endpoint}, l.namedAtAll) {
		return authz.ImplicitDeny, authz.LayerEndpoint
	}

	identity := p.Type == authz.Root || l.has(policy.Allow, req.Identity, nil)
	var stop []authz.Layer // the caller's own limits that say nothing
	if p.Type != authz.Root && req.Boundary != nil && !l.has(policy.Allow, []*authz.Document{req.Boundary}, nil) {
		stop = append(stop, authz.LayerBoundary)
	}
	if req.Session == nil && p.Type == authz.FederatedUser || req.Session != nil && !l.has(policy.Allow, req.Session, nil) {
		stop = append(stop, authz.LayerSession)
	}
	if part.Action == "sts:GetSessionToken" { // needs no permission
		identity, stop = true, nil
	}
	how := l.grants()
	if retire {
		how = l.retirers()
	}
	account := slices.Contains(how, "account")
	switch {
	case slices.Contains(how, "self"), slices.Contains(how, "role") && len(stop) == 0, account && identity && len(stop) == 0:
		return authz.Allowed, authz.LayerGrant
	case retire && slices.Contains(how, "role"):
		return authz.ImplicitDeny, stop[0]
	case retire && account && identity:
		return authz.ImplicitDeny, stop[0]
	case retire:
		return authz.ImplicitDeny, authz.LayerGrant
	}
	policyNames := func(want string) bool {
		return l.has(policy.Allow, []*authz.Document{part.Policy}, func(d *authz.Document, s *policy.Statement) bool {
			return s.Principal != nil && slices.Contains(l.naming(d, s.Principal), want)
		})
	}
	self, role, all := policyNames("self"), policyNames("role"), policyNames("account")
	if person && p.Account != "" && part.Resource.Account != "" && p.Account != part.Resource.Account {
		return l.abroad(self || role || all, identity, slices.Contains(how, "role"), account, stop, own)
	}
	return l.home(self, role, all, identity, how, stop, own)
}

// home is the part of the decision where resource and caller are in one account and no grant is
// usable.
func (l *literal) home(self, role, all, identity bool, grants []string, stop []authz.Layer, own authz.Layer) (authz.Outcome, authz.Layer) {
	p, part := &l.req.Principal, l.part
	person := p.Type != authz.Service && p.Type != authz.Anonymous
	switch {
	case !person && self:
		return authz.Allowed, own
	case !person:
		return authz.ImplicitDeny, own
	case p.Type == authz.Root && !part.Authoritative:
		if len(stop) > 0 {
			return authz.ImplicitDeny, stop[0]
		}
		return authz.Allowed, authz.LayerRoot
	case p.Type == authz.Root:
		self, all = self || all, false
		if self && len(stop) > 0 {
			return authz.ImplicitDeny, stop[0]
		}
	}
	switch {
	case self, role && len(stop) == 0:
		return authz.Allowed, own
	case identity && len(stop) == 0 && (all || !part.Authoritative):
		return authz.Allowed, authz.LayerIdentity
	case role, slices.Contains(grants, "role"):
		return authz.ImplicitDeny, stop[0]
	case part.Authoritative && !all && !slices.Contains(grants, "account"):
		return authz.ImplicitDeny, own
	case !identity:
		return authz.ImplicitDeny, authz.LayerIdentity
	case len(stop) > 0:
		return authz.ImplicitDeny, stop[0]
	}
	return authz.ImplicitDeny, own
}

// denied is the first step: any deny, in the order in which we name the layers.
func (l *literal) denied(scps, rcps, retire bool, own authz.Layer) (authz.Layer, bool) {
	req, part := l.req, l.part
	for _, level := range req.SCPs {
		if scps && l.has(policy.Deny, level, nil) {
			return authz.LayerSCP, true
		}
	}
	for _, level := range part.RCPs {
		if rcps && l.has(policy.Deny, level, l.namedAtAll) {
			return authz.LayerRCP, true
		}
	}
	switch {
	case l.has(policy.Deny, []*authz.Document{req.Endpoint}, l.namedAtAll):
		return authz.LayerEndpoint, true
	case !retire && l.has(policy.Deny, []*authz.Document{part.Policy}, l.deniedByResource):
		return own, true
	case l.has(policy.Deny, req.Identity, nil):
		return authz.LayerIdentity, true
	case l.has(policy.Deny, []*authz.Document{req.Boundary}, nil):
		return authz.LayerBoundary, true
	case l.has(policy.Deny, req.Session, nil):
		return authz.LayerSession, true
	}
	return authz.LayerNone, false
}

// abroad is the part of the decision where resource and caller are in different accounts and no
// grant is usable: both sides must allow.
func (l *literal) abroad(resource, identity, byRole, byAccount bool, stop []authz.Layer, own authz.Layer) (authz.Outcome, authz.Layer) {
	if strings.HasPrefix(l.part.Action, "kms:") && !expression(`^kms:(Encrypt|Decrypt|ReEncrypt.*|GenerateDataKey.*|`+
		`GenerateMac|VerifyMac|Sign|Verify|DeriveSharedSecret|Encapsulate|Decapsulate|GetPublicKey|DescribeKey|GetKeyRotationStatus|CreateGrant|`+
		`ListGrants|RevokeGrant|RetireGrant)$`).MatchString(l.part.Action) {
		resource = false
	}
	switch {
	case resource && identity && len(stop) == 0 && l.req.Principal.Type == authz.Root:
		return authz.Allowed, own
	case resource && identity && len(stop) == 0:
		return authz.Allowed, authz.LayerIdentity
	case byRole:
		return authz.ImplicitDeny, stop[0]
	case byAccount && l.req.Principal.Type != authz.Root:
		if !identity {
			return authz.ImplicitDeny, authz.LayerIdentity
		}
		return authz.ImplicitDeny, stop[0]
	case l.part.Authoritative && !resource:
		return authz.ImplicitDeny, own
	case !identity:
		return authz.ImplicitDeny, authz.LayerIdentity
	case !resource:
		return authz.ImplicitDeny, own
	}
	return authz.ImplicitDeny, stop[0]
}
