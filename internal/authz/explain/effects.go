package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
)

// opens is what a statement that allows allows beside the request, somebody being its principal.
func (s *search) opens(st *statement, who string) []speech.Text {
	var out []speech.Text
	if more := slices.DeleteFunc(slices.Clone(st.Action), func(a string) bool { return a == s.part.Action }); len(more) > 0 {
		out = append(out, speech.Say("Also %s.", strings.Join(more, ", ")))
	}
	switch {
	case strings.HasSuffix(who, ":root") && s.cross:
		out = append(out, speech.Say("Account %s decides which of its principals, by its identity policies.", s.p.Account))
	case s.p.Type == authz.RoleSession:
		out = append(out, speech.Say("Every session of the role, not this one alone."))
	}
	via := ""
	if c, ok := st.Condition["StringEquals"]; ok {
		via, _ = c["kms:ViaService"].(string)
	}
	switch {
	case via != "":
		out = append(out, speech.Say("All such requests through %s, for any volume and encryption context.", via))
	case s.isKMS() && slices.Contains(st.Action, "kms:CreateGrant"):
		if len(st.Condition) > 0 {
			out = append(out, speech.Say("Grants to anybody, if an AWS service makes them, for any operation and encryption context."))
		} else {
			out = append(out, speech.Say("Grants to anybody, for any operation and encryption context."))
		}
	case s.isKMS():
		out = append(out, speech.Say("Any encryption context, and requests from anywhere."))
	default:
		out = append(out, speech.Say("Requests from anywhere, at any time."))
	}
	return out
}

// opensGrant is what a grant allows beside the request.
func (s *search) opensGrant(g *authz.Grant) []speech.Text {
	var out []speech.Text
	if more := slices.DeleteFunc(slices.Clone(g.Operations), func(op string) bool { return op == s.operation() }); len(more) > 0 {
		out = append(out, speech.Say("Also %s.", strings.Join(more, ", ")))
	}
	if len(g.ContextSubset) == 0 {
		out = append(out, speech.Say("Any encryption context, and requests from anywhere, until the grant is retired or revoked."))
	}
	if slices.Contains(g.Operations, "CreateGrant") {
		out = append(out, speech.Say("The grantee can hand these operations on, by grants of its own."))
	}
	if s.p.Type == authz.RoleSession && !s.isInfrastructure() {
		out = append(out, speech.Say("Every session of the role, not this one alone."))
	}
	return out
}

// opensLimit is what an allow in a limiting layer lets through beside the request.
func (s *search) opensLimit(l authz.Layer) []speech.Text {
	switch l {
	case authz.LayerBoundary:
		return []speech.Text{speech.Say("The action, to every principal with this boundary for whom other policies allow it.")}
	case authz.LayerSCP:
		return []speech.Text{speech.Say("The action, to every principal of the accounts below for whom other policies allow it.")}
	case authz.LayerEndpoint:
		return []speech.Text{speech.Say("The action, to everybody who comes through the endpoint and for whom other policies allow it.")}
	}
	return nil
}

// somebody is who must make a change: a holder of a permission in an account, and in a Region
// unless the service is global.
func somebody(permission speech.Text, account, region string) speech.Text {
	switch {
	case arn.IsAccount(account) && region != "":
		return speech.Say("Somebody with %s in account %s, in Region %s.", permission, account, region)
	case arn.IsAccount(account):
		return speech.Say("Somebody with %s in account %s.", permission, account)
	case region != "":
		return speech.Say("Somebody with %s, in Region %s.", permission, region)
	}
	return speech.Say("Somebody with %s.", permission)
}

// run says who changes the document of a layer, which an account owns.
func (s *search) run(l authz.Layer, account string) speech.Text {
	switch l {
	case authz.LayerIdentity:
		return somebody(speech.Say("the right to change the principal's identity policies"), account, "")
	case authz.LayerTrust:
		return somebody(speech.Say("iam:UpdateAssumeRolePolicy on the role"), account, "")
	case authz.LayerBoundary:
		return somebody(speech.Say("iam:CreatePolicyVersion on the boundary"), account, "")
	case authz.LayerSession:
		return speech.Say("Whoever starts the session.")
	case authz.LayerSCP, authz.LayerRCP:
		return speech.Say("An administrator of the organization, with organizations:UpdatePolicy in its management account.")
	case authz.LayerEndpoint:
		return somebody(speech.Say("ec2:ModifyVpcEndpoint on the endpoint"), account, "")
	}
	a, err := arn.Parse(s.part.Resource.ARN)
	if err != nil || !s.isKMS() {
		return somebody(speech.Say("the right to change the policy of the resource"), account, "")
	}
	return somebody(speech.Say("kms:PutKeyPolicy on the key"), account, a.Region)
}

// notes say what kind of change can help where that is not adding a permission.
func (s *search) notes(part *authz.PartDecision) []Note {
	switch {
	case part.HomeOnly:
		return []Note{{Text: speech.Say("Nothing can help: %s works on keys of the caller's own account only.", part.Action)}}
	case part.Outcome == authz.ImplicitDeny && s.part.Resource.AWSManaged && len(s.found) == 0:
		return []Note{{Text: speech.Say("Nothing can help: the key is one that AWS manages, and nobody can change its policy or make grants on it. A customer managed key can be used instead.")}}
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
			n.Text = speech.Say("Nothing can help: %s denies it, and AWS manages the key.", uncapital(what))
		case m.Layer == authz.LayerSCP || m.Layer == authz.LayerRCP:
			const text = "No permission can outweigh it: %s denies it. Only the organization can change that, by its management account."
			n.Text = speech.Say(text, uncapital(what))
			limited := Note{Text: speech.Say(text, speech.Say("a %s", limit(m.Layer))), Shows: s.p.Account} // whom AWS tells as much
			if m.Layer == authz.LayerRCP {
				limited.Shows = s.owner
			}
			if limited.Shows != n.Shows && !slices.ContainsFunc(out, limited.same) {
				out = append(out, limited)
			}
		case strings.HasPrefix(m.Document, "arn:"+arn.Partition+":iam::aws:policy/"):
			n.Text = speech.Say("No permission can outweigh it: %s denies it. AWS manages that policy; it can be detached, not changed.", uncapital(what))
		default:
			n.Text = speech.Say("No permission can outweigh it: only changing or removing %s can help.", uncapital(what))
		}
		out = append(out, n)
	}
	if len(out) == 0 && len(s.found) == 0 {
		out = append(out, Note{Text: speech.Say("No statement or grant that kagimori knows of would allow it.")})
	}
	return out
}
