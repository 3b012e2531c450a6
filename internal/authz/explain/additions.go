package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// grantOperations are what a grant can allow. Source: KMS Developer Guide, "Grants in AWS KMS".
var grantOperations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
	"DescribeKey", "CreateGrant", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac",
	"VerifyMac", "Sign", "Verify", "DeriveSharedSecret", "GetPublicKey",
}

// launchOperations are those that Auto Scaling's role needs, and launchActions the same in a key
// policy. Source: Amazon EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with
// encrypted volumes".
var (
	launchOperations = grantOperations[:8]
	launchActions    = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}
)

func (s *search) isInfrastructure() bool {
	return s.p.Type == authz.RoleSession && s.p.RoleARN == arn.InfrastructureRole(s.p.Account)
}

// grantable is the principal as policies and grants name it for good: the role of a session.
func (s *search) grantable() string {
	if s.p.Type == authz.RoleSession && !s.isInfrastructure() {
		return s.p.RoleARN
	}
	return s.p.ARN
}

// identity adds a statement to the principal's identity policies.
func (s *search) identity() []change {
	holder, command := s.p.ARN, ""
	switch {
	case s.p.IsServiceLinked(), s.isInfrastructure():
		return nil
	case s.p.Type == authz.User:
		command = "put-user-policy --user-name " + shell(s.p.Username)
	case s.p.Type == authz.RoleSession:
		holder = s.p.RoleARN
		command = "put-role-policy --role-name " + shell(holder[strings.LastIndexByte(holder, '/')+1:])
	case s.p.Type == authz.FederatedUser:
		holder = s.p.ParentARN
	default:
		return nil
	}
	st := statement{Effect: "Allow", Action: []string{s.part.Action}, Resource: s.part.Resource.ARN}
	f := Fix{
		Kind: IdentityPolicy, Owner: s.p.Account, Shows: s.p.Account, Document: st.text(),
		Summary: fmt.Sprintf("Add a statement to the identity policies of %s that allows %s.", holder, s.part.Action),
	}
	if command != "" {
		f.Command = fmt.Sprintf("aws iam %s \\\n  --policy-name %s \\\n  --policy-document %s", command,
			"allow-"+strings.ToLower(strings.ReplaceAll(s.part.Action, ":", "-")), shell(st.document()))
	}
	return []change{{f, func(r authz.Request) (authz.Request, bool) {
		doc, ok := extend(nil, policy.Identity, st)
		r.Identity = append(slices.Clone(r.Identity), doc)
		return r, ok
	}}}
}

// resource adds a statement to the policy of the resource: that of a key, or a role's trust policy.
func (s *search) resource() []change {
	kind, what, docKind := KeyPolicy, "key policy of "+s.part.Resource.ARN, policy.Key
	switch {
	case s.part.Resource.AWSManaged || s.isInfrastructure():
		return nil
	case strings.HasPrefix(s.part.Action, "sts:"):
		kind, what, docKind = TrustPolicy, "trust policy of "+s.part.Resource.ARN, policy.Trust
		if arn.IsServiceLinkedRole(s.part.Resource.ARN) {
			return nil
		}
	case !s.isKMS():
		kind, what, docKind = ResourcePolicy, "policy of "+s.part.Resource.ARN, policy.Resource
	}
	who := s.grantable()
	if s.cross {
		who = arn.Root(s.p.Account) // the other account decides which of its principals
	}
	st := statement{Effect: "Allow", Principal: map[string][]string{"AWS": {who}}, Action: []string{s.part.Action}, Resource: "*"}
	switch {
	case s.p.Type == authz.Service:
		st.Principal = map[string][]string{"Service": {s.p.ARN}}
	case docKind == policy.Trust:
		st.Resource = ""
	case docKind == policy.Resource:
		st.Resource = s.part.Resource.ARN
	case s.p.IsServiceLinked():
		s.launchStatement(&st)
	}
	f := Fix{
		Kind: kind, Owner: s.owner, Document: st.text(),
		Summary: fmt.Sprintf("Add a statement to the %s that allows %s to %s.", what, strings.Join(st.Action, ", "), who),
	}
	return []change{{f, func(r authz.Request) (authz.Request, bool) {
		p := r.Parts[0]
		doc, ok := extend(p.Policy, docKind, st)
		if ok && s.p.UniqueID != "" && !s.cross {
			ids := maps.Clone(doc.PrincipalIDs())
			if ids == nil {
				ids = map[string]string{}
			}
			ids[who] = s.p.UniqueID
			doc.SetPrincipalIDs(ids)
		}
		p.Policy = doc
		r.Parts = []authz.Part{p}
		return r, ok
	}}}
}

// launchStatement makes the statement one of the two that Auto Scaling's documentation gives.
func (s *search) launchStatement(st *statement) {
	if !slices.Contains(launchOperations, s.operation()) {
		return
	}
	if s.operation() != "CreateGrant" {
		st.Sid, st.Action = "Allow service-linked role use of the customer managed key", launchActions
		return
	}
	st.Sid = "Allow attachment of persistent resources"
	if v, ok := lookup(s.part.Context, "kms:grantisforawsresource"); ok && v == "true" {
		st.Condition = map[string]map[string]any{"Bool": {"kms:GrantIsForAWSResource": true}}
	}
}

func lookup(ctx authz.Context, key string) (value string, ok bool) {
	for _, e := range ctx {
		if strings.EqualFold(e.Key, key) && !e.Multi && !e.Unknown {
			value, ok = e.One, true
		}
	}
	return value, ok
}

// grant is what aws kms create-grant would add.
func (s *search) grant() []change {
	a, err := arn.Parse(s.part.Resource.ARN)
	if err != nil || !s.isKMS() || s.part.Resource.AWSManaged || !slices.Contains(grantOperations, s.operation()) ||
		s.p.Type == authz.Root || s.p.Type == authz.Service {
		return nil
	}
	who := s.grantable()
	g := authz.Grant{ID: "new", Grantee: who, GranteeID: s.p.UniqueID, IssuingAccount: s.owner, Operations: []string{s.operation()}}
	switch {
	case s.p.IsServiceLinked():
		g.Operations = launchOperations
	case s.part.NewGrant != nil:
		g.Operations = slices.DeleteFunc(slices.Concat(s.part.NewGrant.Operations, g.Operations), func(op string) bool { return op == "RetireGrant" })
		slices.Sort(g.Operations)
		g.Operations = slices.Compact(g.Operations)
	case s.isInfrastructure():
		g.ContextSubset = s.part.EncryptionContext
	}
	var b strings.Builder
	fmt.Fprintf(&b, "aws kms create-grant \\\n  --region %s \\\n  --key-id %s \\\n  --grantee-principal %s \\\n  --operations", a.Region, s.part.Resource.ARN, who)
	for _, op := range g.Operations {
		b.WriteString(` "` + op + `"`)
	}
	if len(g.ContextSubset) > 0 {
		b.WriteString(" \\\n  --constraints " + shell(constraints(g.ContextSubset)))
	}
	f := Fix{
		Kind: Grant, Owner: s.owner, Command: b.String(),
		Summary: fmt.Sprintf("Create a grant on %s for %s.", s.part.Resource.ARN, who),
	}
	if s.cross {
		f.Shows = s.p.Account
		if s.p.IsServiceLinked() {
			f.Summary += " The key is in another account: no key policy alone can help a service-linked role there."
		}
	}
	return []change{{f, func(r authz.Request) (authz.Request, bool) {
		p := r.Parts[0]
		p.Grants = append(slices.Clone(p.Grants), g)
		r.Parts = []authz.Part{p}
		return r, true
	}}}
}

// limits add an allow to each limiting layer that is silent.
func (s *search) limits(r *authz.Request, silent []authz.Layer) []change {
	var out []change
	st := statement{Effect: "Allow", Action: []string{s.part.Action}, Resource: s.part.Resource.ARN}
	for _, l := range silent {
		f := Fix{Owner: s.p.Account, Shows: s.p.Account, Document: st.text()}
		c := change{fix: f}
		switch {
		case l == authz.LayerBoundary && r.Boundary != nil && !r.Boundary.Unknown:
			c.fix.Kind, c.fix.Summary = Boundary, fmt.Sprintf("Allow %s in the permissions boundary %s.", s.part.Action, r.Boundary.Name)
			c.apply = func(r authz.Request) (_ authz.Request, ok bool) {
				r.Boundary, ok = extend(r.Boundary, policy.Identity, st)
				return r, ok
			}
		case l == authz.LayerSession:
			c.fix.Kind, c.fix.Summary = SessionPolicy, fmt.Sprintf("Start the session with a session policy that allows %s.", s.part.Action)
			c.apply = func(r authz.Request) (authz.Request, bool) {
				doc, ok := extend(nil, policy.Session, st)
				r.Session = append(slices.Clone(r.Session), doc)
				return r, ok
			}
		case l == authz.LayerSCP:
			c.fix.Kind, c.fix.Summary = ServiceControl, fmt.Sprintf("Allow %s in a service control policy at every level above account %s.", s.part.Action, s.p.Account)
			c.fix.Owner = ""
			c.apply = func(r authz.Request) (authz.Request, bool) {
				doc, ok := extend(nil, policy.SCP, st)
				r.SCPs = slices.Clone(r.SCPs)
				for i := range r.SCPs {
					r.SCPs[i] = append(slices.Clone(r.SCPs[i]), doc)
				}
				return r, ok
			}
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}
