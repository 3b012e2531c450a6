package policy

import (
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

// InvalidPrincipal is IAM's error for a principal of a trust policy that does not exist.
func InvalidPrincipal(kind PrincipalKind, value string) *apierr.Error {
	return apierr.New(codeMalformed, invalidPrincipal(kind, value))
}

func invalidPrincipal(kind PrincipalKind, value string) string {
	return `Invalid principal in policy: "` + strings.ToUpper(string(kind)) + `":"` + value + `"`
}
