package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// opens is what a statement that allows allows beside the request, somebody being its principal.
func (s *search) opens(st *statement, who string) []string {
	var out []string
	if more := slices.DeleteFunc(slices.Clone(st.Action), func(a string) bool { return a == s.part.Action }); len(more) > 0 {
		out = append(out, "Also "+strings.Join(more, ", ")+".")
	}
	switch {
	case strings.HasSuffix(who, ":root") && s.cross:
		out = append(out, "Account "+s.p.Account+" decides which of its principals, by its identity policies.")
	case s.p.Type == authz.RoleSession:
		out = append(out, "Every session of the role, not this one alone.")
	}
	via := ""
	if c, ok := st.Condition["StringEquals"]; ok {
		via, _ = c["kms:ViaService"].(string)
	}
	switch {
	case via != "":
		out = append(out, "All such requests through "+via+", for any volume and encryption context.")
	case s.isKMS() && slices.Contains(st.Action, "kms:CreateGrant"):
		made := ""
		if len(st.Condition) > 0 {
			made = ", if an AWS service makes them"
		}
		out = append(out, "Grants to anybody"+made+", for any operation and encryption context.")
	case s.isKMS():
		out = append(out, "Any encryption context, and requests from anywhere.")
	default:
		out = append(out, "Requests from anywhere, at any time.")
	}
	return out
}

// opensGrant is what a grant allows beside the request.
func (s *search) opensGrant(g *authz.Grant) []string {
	var out []string
	if more := slices.DeleteFunc(slices.Clone(g.Operations), func(op string) bool { return op == s.operation() }); len(more) > 0 {
		out = append(out, "Also "+strings.Join(more, ", ")+".")
	}
	if len(g.ContextSubset) == 0 {
		out = append(out, "Any encryption context, and requests from anywhere, until the grant is retired or revoked.")
	}
	if slices.Contains(g.Operations, "CreateGrant") {
		out = append(out, "The grantee can hand these operations on, by grants of its own.")
	}
	if s.p.Type == authz.RoleSession && !s.isInfrastructure() {
		out = append(out, "Every session of the role, not this one alone.")
	}
	return out
}

// opensLimit is what an allow in a limiting layer lets through beside the request.
func (s *search) opensLimit(l authz.Layer) []string {
	const only = " for whom other policies allow it."
	switch l {
	case authz.LayerBoundary:
		return []string{"The action, to every principal with this boundary" + only}
	case authz.LayerSCP:
		return []string{"The action, to every principal of the accounts below" + only}
	case authz.LayerEndpoint:
		return []string{"The action, to everybody who comes through the endpoint and" + only}
	}
	return nil
}

// somebody is who must make a change: a holder of a permission in an account, and in a Region
// unless the service is global.
func somebody(permission, account, region string) string {
	s := "Somebody with " + permission
	if arn.IsAccount(account) {
		s += " in account " + account
	}
	if region != "" {
		s += ", in Region " + region
	}
	return s + "."
}

// run says who changes the document of a layer, which an account owns.
func (s *search) run(l authz.Layer, account string) string {
	switch l {
	case authz.LayerIdentity:
		return somebody("the right to change the principal's identity policies", account, "")
	case authz.LayerTrust:
		return somebody("iam:UpdateAssumeRolePolicy on the role", account, "")
	case authz.LayerBoundary:
		return somebody("iam:CreatePolicyVersion on the boundary", account, "")
	case authz.LayerSession:
		return "Whoever starts the session."
	case authz.LayerSCP, authz.LayerRCP:
		return "An administrator of the organization, with organizations:UpdatePolicy in its management account."
	case authz.LayerEndpoint:
		return somebody("ec2:ModifyVpcEndpoint on the endpoint", account, "")
	}
	a, err := arn.Parse(s.part.Resource.ARN)
	if err != nil || !s.isKMS() {
		return somebody("the right to change the policy of the resource", account, "")
	}
	return somebody("kms:PutKeyPolicy on the key", account, a.Region)
}

// notes say what kind of change can help where that is not adding a permission.
func (s *search) notes(part *authz.PartDecision) []Note {
	switch {
	case part.HomeOnly:
		return []Note{{Text: fmt.Sprintf("Nothing can help: %s works on keys of the caller's own account only.", part.Action)}}
	case part.Outcome == authz.ImplicitDeny && s.part.Resource.AWSManaged && len(s.found) == 0:
		return []Note{{Text: "Nothing can help: the key is one that AWS manages, and nobody can change its policy or make grants on it. A customer managed key can be used instead."}}
	}
	var out []Note
	for _, m := range part.Matched {
		if !isDeny(&m) {
			continue
		}
		what := named(part, &m)
		n := Note{Shows: owner(&m, s.p.Account, s.owner)}
		switch {
		case s.part.Resource.AWSManaged && m.Layer == authz.LayerResource:
			n.Text = "Nothing can help: " + uncapital(what) + " denies it, and AWS manages the key."
		case m.Layer == authz.LayerSCP || m.Layer == authz.LayerRCP:
			const change = " denies it. Only the organization can change that, by its management account."
			n.Text = "No permission can outweigh it: " + uncapital(what) + change
			limited := Note{Text: "No permission can outweigh it: a " + noun(m.Layer) + change, Shows: s.p.Account} // whom AWS tells as much
			if m.Layer == authz.LayerRCP {
				limited.Shows = s.owner
			}
			if limited.Shows != n.Shows && !slices.Contains(out, limited) {
				out = append(out, limited)
			}
		case strings.HasPrefix(m.Document, "arn:"+arn.Partition+":iam::aws:policy/"):
			n.Text = "No permission can outweigh it: " + uncapital(what) + " denies it. AWS manages that policy; it can be detached, not changed."
		default:
			n.Text = "No permission can outweigh it: only changing or removing " + uncapital(what) + " can help."
		}
		out = append(out, n)
	}
	if len(out) == 0 && len(s.found) == 0 {
		out = append(out, Note{Text: "No statement or grant that kagimori knows of would allow it."})
	}
	return out
}
