package accessanalyzer

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/speech"
)

// A clause is a statement's actions and principals, as far as this check looks at them.
type clause struct {
	actions    []*node
	principals map[string][]*node // by type: "AWS", "Service", "Federated"
}

// clauses are the statements, in the order of the document.
func (d *document) clauses() []*clause {
	byPlace := map[int32]*clause{}
	var out []*clause
	for i := range d.nodes {
		n := &d.nodes[i]
		at := slices.IndexFunc(n.path, func(e accessanalyzerapi.PathElement) bool {
			return e.Value != nil && (*e.Value == "Action" || *e.Value == "Principal")
		})
		if at < 1 || at > 2 || n.kind != '"' || n.path[0].Value == nil || *n.path[0].Value != "Statement" {
			continue
		}
		key := int32(-1) // of a statement that is in no list
		if at == 2 && n.path[1].Index != nil {
			key = *n.path[1].Index
		}
		c := byPlace[key]
		if c == nil {
			c = &clause{principals: map[string][]*node{}}
			byPlace[key] = c
			out = append(out, c)
		}
		switch {
		case *n.path[at].Value == "Action":
			c.actions = append(c.actions, n)
		case len(n.path) > at+1 && n.path[at+1].Value != nil:
			c.principals[*n.path[at+1].Value] = append(c.principals[*n.path[at+1].Value], n)
		}
	}
	return out
}

// mismatched are actions that assume a role and that none of the principals may use: AssumeRole is not
// for federated ones, and the other two are for nobody but the providers of their kind.
//
// Source: IAM User Guide, "IAM policy validation check reference": Mismatched action for principal.
func (d *document) mismatched() []remark {
	var out []remark
	for _, c := range d.clauses() {
		told := map[string]bool{}
		for _, a := range c.actions {
			action := strings.ToLower(a.text)
			wrong := c.wrongFor(action)
			if len(wrong) == 0 || told[action] {
				continue
			}
			told[action] = true
			names := make([]string, len(wrong))
			r := remark{
				issue: issue{"MISMATCHED_ACTION_FOR_PRINCIPAL", kindError, "error-mismatched-action-for-principal"}, location: d.span(a.path, a.start, a.end),
			}
			for i, p := range wrong {
				names[i] = p.text
				r.more = append(r.more, d.span(p.path, p.start, p.end))
			}
			r.details = speech.Say("The %s action is invalid with the following principal(s): %s. Use a SAML provider principal with the sts:AssumeRoleWithSAML action or use an OIDC provider principal with the sts:AssumeRoleWithWebIdentity action. Ensure the provider is Federated if you use either of the two options.", a.text, strings.Join(names, ", "))
			out = append(out, r)
		}
	}
	return out
}

func (c *clause) wrongFor(action string) (wrong []*node) {
	saml := func(n *node) bool { return strings.Contains(n.text, ":saml-provider/") }
	switch action {
	case "sts:assumerole":
		return c.principals["Federated"]
	case "sts:assumerolewithsaml":
		wrong = slices.DeleteFunc(slices.Clone(c.principals["Federated"]), saml)
	case "sts:assumerolewithwebidentity":
		wrong = slices.DeleteFunc(slices.Clone(c.principals["Federated"]), func(n *node) bool { return !saml(n) })
	default:
		return nil
	}
	return slices.Concat(wrong, c.principals["AWS"], c.principals["Service"])
}
