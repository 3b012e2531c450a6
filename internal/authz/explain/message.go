package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// nouns are the policy types as AWS's texts name them.
var nouns = [...]string{
	authz.LayerIdentity: "identity-based policy",
	authz.LayerResource: "resource-based policy",
	authz.LayerTrust:    "role trust policy",
	authz.LayerBoundary: "permissions boundary",
	authz.LayerSession:  "session policy",
	authz.LayerSCP:      "service control policy",
	authz.LayerRCP:      "resource control policy",
	authz.LayerEndpoint: "VPC endpoint policy",
	authz.LayerGrant:    "resource-based policy", // AWS has no text for grants
	authz.LayerRoot:     "resource-based policy",
}

func noun(l authz.Layer) string {
	if int(l) < len(nouns) {
		return nouns[l]
	}
	return ""
}

// Message is AWS's text for a refusal. Source: IAM User Guide, "Troubleshoot access denied error
// messages"; the form for keys of other accounts is KMS's.
func Message(d authz.Decision, p *authz.Principal) string {
	who := p.ARN
	if p.Type == authz.Anonymous {
		who = "anonymous"
	}
	base := "User: " + who + " is not authorized to perform"
	part, ok := decisive(&d)
	if !ok {
		return base + " this operation"
	}
	base += ": " + part.Action
	service, _, _ := strings.Cut(part.Action, ":")
	if part.CrossAccount && resourceRefuses(part) {
		if service == "kms" {
			return base + " on this resource because the resource does not exist in this Region," +
				" no resource-based policies allow access, or a resource-based policy explicitly denies access"
		}
		return base + onResource(service, part.Resource)
	}
	return base + onResource(service, part.Resource) + reason(part)
}

// decisive is the part that decided, or the first that is not allowed.
func decisive(d *authz.Decision) (*authz.PartDecision, bool) {
	if d.Part >= 0 && d.Part < len(d.Parts) && d.Parts[d.Part].Outcome != authz.Allowed {
		return &d.Parts[d.Part], true
	}
	i := slices.IndexFunc(d.Parts, func(p authz.PartDecision) bool { return p.Outcome != authz.Allowed })
	if i < 0 {
		return nil, false
	}
	return &d.Parts[i], true
}

// onResource names the resource. EC2 and Auto Scaling leave "*" out.
func onResource(service, resource string) string {
	if resource == "" || resource == "*" && (service == "ec2" || service == "autoscaling") {
		return ""
	}
	return " on resource: " + resource
}

// resourceRefuses reports whether the resource's side denies or does not allow.
func resourceRefuses(part *authz.PartDecision) bool {
	theirs := func(l authz.Layer) bool { return l != authz.LayerNone && !callersSide(l) }
	return theirs(part.By) || part.Outcome == authz.ImplicitDeny && slices.ContainsFunc(part.Silent, theirs)
}

func reason(part *authz.PartDecision) string {
	what := noun(part.By)
	switch {
	case what == "":
		return ""
	case part.Outcome == authz.ExplicitDeny:
		article := " a "
		switch part.By {
		case authz.LayerIdentity:
			article = " an "
		case authz.LayerTrust:
			article = " the "
		}
		return " with an explicit deny in" + article + what
	case part.Outcome == authz.ImplicitDeny:
		return " because no " + what + " allows the " + part.Action + " action"
	}
	return ""
}

func isDeny(m *authz.Match) bool { return m.Effect == policy.Deny }
