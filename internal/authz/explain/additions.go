package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// grantOperations are what a grant can allow. Source: KMS Developer Guide, "Grants in AWS KMS".
var grantOperations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
	"DescribeKey", "CreateGrant", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac",
	"VerifyMac", "Sign", "Verify", "DeriveSharedSecret", "Encapsulate", "Decapsulate", "GetPublicKey",
}

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
	holder, command, permission := s.p.ARN, "", "iam:PutUserPolicy"
	switch {
	case s.p.IsServiceLinked(), s.isInfrastructure():
		return nil
	case s.p.Type == authz.User:
		command = "put-user-policy --user-name " + shell(s.p.Username)
	case s.p.Type == authz.RoleSession:
		holder = s.p.RoleARN
		command, permission = "put-role-policy --role-name "+shell(holder[strings.LastIndexByte(holder, '/')+1:]), "iam:PutRolePolicy"
	case s.p.Type == authz.FederatedUser:
		holder = s.p.ParentARN
	default:
		return nil
	}
	st := statement{Effect: "Allow", Action: []string{s.part.Action}, Resource: s.part.Resource.ARN}
	s.narrow(&st)
	f := Fix{
		Kind: IdentityPolicy, Owner: s.p.Account, Shows: s.p.Account, Document: st.text(),
		Opens: s.opens(&st, holder), Run: somebody(speech.Raw(permission), s.p.Account, ""),
		Summary: speech.Say("Add a statement to the identity policies of %s that allows %s.", holder, s.part.Action),
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
	kind, what, docKind := KeyPolicy, speech.Say("key policy of %s", s.part.Resource.ARN), policy.Key
	switch {
	case s.part.Resource.AWSManaged || s.isInfrastructure():
		return nil
	case strings.HasPrefix(s.part.Action, "sts:"):
		kind, what, docKind = TrustPolicy, speech.Say("trust policy of %s", s.part.Resource.ARN), policy.Trust
		if arn.IsServiceLinkedRole(s.part.Resource.ARN) {
			return nil
		}
	case !s.isKMS():
		kind, what, docKind = ResourcePolicy, speech.Say("policy of %s", s.part.Resource.ARN), policy.Resource
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
	case s.page:
		s.launchStatement(&st)
	default:
		st.Action = s.together()
		s.narrow(&st)
	}
	return []change{s.addStatement(kind, docKind, what, who, st)}
}

// addStatement adds a statement for somebody to the policy of the resource.
func (s *search) addStatement(kind string, docKind policy.Kind, what speech.Text, who string, st statement) change {
	if taken(s.part.Policy, st.Sid) {
		st.Sid = ""
	}
	f := Fix{
		Kind: kind, Owner: s.owner, Document: st.text(), Target: s.part.Resource.ARN, Digest: digest(s.part.Policy),
		Opens: s.opens(&st, who), Run: s.run(authz.LayerResource, s.owner),
		Summary: speech.Say("Add a statement to the %s that allows %s to %s.", what, strings.Join(st.Action, ", "), who),
	}
	if kind == TrustPolicy {
		f.Run = s.run(authz.LayerTrust, s.owner)
	}
	return change{f, func(r authz.Request) (authz.Request, bool) {
		p := r.Parts[0]
		doc, ok := extend(p.Policy, docKind, st)
		if ok && s.p.UniqueID != "" && !s.cross {
			doc.SetPrincipalIDs(with(doc.PrincipalIDs(), who, s.p.UniqueID))
		}
		p.Policy = doc
		r.Parts = []authz.Part{p}
		return r, ok
	}}
}

// narrow limits a statement to what the request shows of its kind: the service that forwards it,
// and grants that services make.
func (s *search) narrow(st *statement) {
	if !s.isKMS() {
		return
	}
	if via, ok := lookup(s.req.Context, "kms:viaservice"); ok {
		st.Condition = map[string]map[string]any{"StringEquals": {"kms:ViaService": via}}
	}
	if v, ok := lookup(s.part.Context, "kms:grantisforawsresource"); ok && v == "true" && s.operation() == "CreateGrant" {
		if st.Condition == nil {
			st.Condition = map[string]map[string]any{}
		}
		st.Condition["Bool"] = map[string]any{"kms:GrantIsForAWSResource": true}
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
	g := authz.Grant{ID: "new", Grantee: who, GranteeID: s.p.UniqueID, IssuingAccount: s.owner, Operations: s.operations()}
	if s.isInfrastructure() {
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
		Kind: Grant, Owner: s.owner, Command: b.String(), Grant: &g, Opens: s.opensGrant(&g), Run: somebody(speech.Say("kms:CreateGrant on the key"), s.owner, a.Region),
		Summary: speech.Say("Create a grant on %s for %s.", s.part.Resource.ARN, who),
	}
	if s.cross {
		f.Shows = s.p.Account
		f.Run = speech.Say("Somebody with kms:CreateGrant on the key, of account %s or, if the key policy allows that, of account %s, in Region %s.",
			s.owner, s.p.Account, a.Region)
		if s.p.IsServiceLinked() {
			f.Summary = speech.Say("Create a grant on %s for %s. The key is in another account: no key policy alone can help a service-linked role there.", s.part.Resource.ARN, who)
		}
	}
	return []change{{f, func(r authz.Request) (authz.Request, bool) {
		p := r.Parts[0]
		p.Grants = append(slices.Clone(p.Grants), g)
		r.Parts = []authz.Part{p}
		return r, true
	}}}
}

// operations are those of a grant that lets the request through, and the launch that it is part of;
// in the order of the API.
func (s *search) operations() []string {
	want := []string{s.operation()}
	switch {
	case s.page:
		return launchOperations
	case s.launches(): // the grants that it makes allow Decrypt
		want = append(want, "Decrypt")
		for _, action := range s.plan() {
			want = append(want, strings.TrimPrefix(action, "kms:"))
		}
	}
	if s.part.NewGrant != nil {
		want = append(want, s.part.NewGrant.Operations...)
	}
	return slices.DeleteFunc(slices.Clone(grantOperations), func(op string) bool { return !slices.Contains(want, op) })
}

// limits add an allow to each limiting layer that is silent.
func (s *search) limits(r *authz.Request, silent []authz.Layer) []change {
	var out []change
	st := statement{Effect: "Allow", Action: []string{s.part.Action}, Resource: s.part.Resource.ARN}
	for _, l := range silent {
		f := Fix{Owner: s.p.Account, Shows: s.p.Account, Document: st.text(), Run: s.run(l, s.p.Account), Opens: s.opensLimit(l)}
		c := change{fix: f}
		switch {
		case l == authz.LayerBoundary && r.Boundary != nil && !r.Boundary.Unknown:
			c.fix.Target, c.fix.Digest = r.Boundary.Name, digest(r.Boundary)
			c.fix.Kind, c.fix.Summary = Boundary, speech.Say("Allow %s in the permissions boundary %s.", s.part.Action, r.Boundary.Name)
			c.apply = func(r authz.Request) (_ authz.Request, ok bool) {
				r.Boundary, ok = extend(r.Boundary, policy.Identity, st)
				return r, ok
			}
		case l == authz.LayerSession:
			c.fix.Kind, c.fix.Summary = SessionPolicy, speech.Say("Start the session with a session policy that allows %s.", s.part.Action)
			c.apply = func(r authz.Request) (authz.Request, bool) {
				doc, ok := extend(nil, policy.Session, st)
				r.Session = append(slices.Clone(r.Session), doc)
				return r, ok
			}
		case l == authz.LayerSCP:
			c.fix.Kind, c.fix.Summary = ServiceControl, speech.Say("Allow %s in a service control policy at every level above account %s.", s.part.Action, s.p.Account)
			c.fix.Owner = ""
			c.apply = func(r authz.Request) (authz.Request, bool) {
				doc, ok := extend(nil, policy.SCP, st)
				r.SCPs = slices.Clone(r.SCPs)
				for i := range r.SCPs {
					r.SCPs[i] = append(slices.Clone(r.SCPs[i]), doc)
				}
				return r, ok
			}
		case l == authz.LayerEndpoint && r.Endpoint != nil && !r.Endpoint.Unknown:
			st := st
			st.Principal = map[string][]string{"AWS": {"*"}}
			if who := r.Endpoint.Owner; arn.IsAccount(who) { // of a shared VPC
				c.fix.Owner, c.fix.Shows, c.fix.Run = who, who, s.run(l, who)
			}
			c.fix.Target, c.fix.Digest, c.fix.Document = r.Endpoint.Name, digest(r.Endpoint), st.text()
			c.fix.Kind, c.fix.Summary = Endpoint, speech.Say("Allow %s in the policy of the VPC endpoint.", s.part.Action)
			c.apply = func(r authz.Request) (_ authz.Request, ok bool) {
				r.Endpoint, ok = extend(r.Endpoint, policy.Endpoint, st)
				return r, ok
			}
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}
