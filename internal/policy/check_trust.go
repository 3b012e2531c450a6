package policy

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
)

// trustActions are the actions of STS that a trust policy may name, in lower case.
var trustActions = []string{
	"assumerole", "assumerolewithsaml", "assumerolewithwebidentity",
	"tagsession", "setsourceidentity", "setcontext",
}

func checkTrustActions(d *draft) string {
	for _, s := range d.Statements {
		for _, list := range [][]Text{s.Actions, s.NotActions} {
			for _, a := range list {
				if !isTrustAction(a.Value) {
					return "AssumeRole policy may only specify STS AssumeRole actions."
				}
			}
		}
	}
	return ""
}

// isTrustAction accepts an action of STS that matches, or could with its wildcards match, one of
// the actions of trust policies.
func isTrustAction(action string) bool {
	service, name, _ := strings.Cut(strings.ToLower(action), ":")
	if service != "sts" {
		return false
	}
	literal, wild := name, false
	if i := strings.IndexAny(name, "*?"); i >= 0 {
		literal, wild = name[:i], true
	}
	for _, known := range trustActions {
		if name == known || wild && strings.HasPrefix(known, literal) {
			return true
		}
	}
	return false
}

func checkTrustPrincipals(d *draft) string {
	for _, s := range d.Statements {
		if s.Principal.Empty() {
			return "Invalid principal in policy: com.amazon.balsa.error.InvalidPolicyException: " +
				"The passed in policy has a statement with no principals!"
		}
		for kind, t := range s.Principal.All() {
			if kind == PrincipalCanonical || kind == PrincipalAWS && shapeOf(t.Value) != shapeGood {
				return invalidPrincipal(kind, t.Value)
			}
		}
	}
	return ""
}

// github is the host of the OpenID Connect provider of GitHub Actions, which signs for every repository.
const github = "token.actions.githubusercontent.com"

// checkTrustGitHub wants a statement that trusts GitHub Actions to say whose jobs: a condition on the subject or the
// workflow that some value other than "*" meets. Which operators count with a set prefix or IfExists is not known:
// all do. Source: IAM User Guide, "Identity-provider controls for shared OIDC providers"; the text as reported by users.
func checkTrustGitHub(d *draft) string {
	keys := []string{github + ":sub", github + ":job_workflow_ref"}
	for _, s := range d.Statements {
		if s.Effect != Allow || s.Principal == nil || slices.ContainsFunc(s.Conditions, func(c Condition) bool { return narrows(c, keys) }) {
			continue
		}
		for _, t := range s.Principal.Federated {
			if strings.HasSuffix(t.Value, ":oidc-provider/"+github) {
				return "Trust policy with trusted principal " + t.Value + " must evaluate, using StringEquals, StringLike or StringEqualsIgnoreCase, " +
					strings.Join(keys, " or ") + " which is not scoped to all."
			}
		}
	}
	return ""
}

// narrows reports whether a condition compares one of the keys, in lower case, with some value other than "*".
func narrows(c Condition, keys []string) bool {
	op, _ := ParseOperator(c.Operator)
	return slices.Contains([]string{"StringEquals", "StringLike", "StringEqualsIgnoreCase"}, op.Name) &&
		slices.Contains(keys, strings.ToLower(c.Key)) && slices.ContainsFunc(c.Values, func(t Text) bool { return t.Value != "*" })
}

// InvalidPrincipal is IAM's error for a principal of a trust policy that does not exist.
func InvalidPrincipal(kind PrincipalKind, value string) *apierr.Error {
	return apierr.New(codeMalformed, invalidPrincipal(kind, value))
}

func invalidPrincipal(kind PrincipalKind, value string) string {
	return `Invalid principal in policy: "` + strings.ToUpper(string(kind)) + `":"` + value + `"`
}
