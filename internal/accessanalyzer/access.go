package accessanalyzer

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// home is the account of requests that no document names, and abroad that of a stranger to it.
const (
	home   = "000000000001"
	abroad = "000000000002"
)

// A subject is a document as the engine decides by it alone.
type subject struct {
	doc      *policy.Document
	compiled *authz.Document
	kind     policy.Kind
	keys     []string // condition keys that it asks for
}

func newSubject(doc *policy.Document, kind policy.Kind) *subject {
	found := map[string]bool{}
	doc.ConditionKeys(func(key string) { found[strings.ToLower(key)] = true })
	return &subject{doc, authz.Compile(doc, kind), kind, slices.Sorted(maps.Keys(found))}
}

// A request stands for requests that a statement may match.
type request struct {
	action, resource string
	principal        authz.Principal
}

// decide asks the engine what the document says to a request of which the given condition keys, and
// nothing else, are open.
func (s *subject) decide(r *request, open []string) authz.Outcome {
	req := authz.Request{Principal: r.principal}
	for _, k := range open {
		req.Context.SetUnknown(k)
	}
	part := authz.Part{Action: r.action, Resource: authz.Resource{ARN: r.resource, Account: r.principal.Account}}
	if r.principal.Account == "" {
		part.Resource.Account = home
	}
	switch s.kind {
	case policy.Identity:
		req.Identity = []*authz.Document{s.compiled}
	default:
		// The resource's policy decides alone: the principal's own policies allow everything.
		req.Identity = []*authz.Document{everything()}
		part.Policy, part.Authoritative = s.compiled, true
	}
	req.Parts = []authz.Part{part}
	return authz.Decide(&req).Outcome
}

// mayAllow reports whether the document allows some of the requests.
func (s *subject) mayAllow(r *request, open []string) bool {
	o := s.decide(r, open)
	return o == authz.Allowed || o == authz.Undetermined
}

func everything() *authz.Document {
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), policy.Identity)
	if err != nil {
		panic(err) // a constant
	}
	return authz.Compile(doc, policy.Identity)
}

// maxWitnesses bounds the requests that are asked about for one statement.
const maxWitnesses = 4096

// requests are the requests that stand for what a statement matches, of the given actions and resources
// (patterns; none are all).
func (s *subject) requests(st *policy.Statement, actionPatterns, resourcePatterns []string, principals []authz.Principal) []request {
	acts := witnesses(values(st.Actions), values(st.NotActions), actionPatterns, true)
	var resources []string
	switch {
	case s.kind == policy.Trust && len(resourcePatterns) == 0:
		resources = []string{arn.Make("iam", "", home, "role/"+token)}
	case len(st.Resources) == 0 && len(st.NotResources) == 0:
		resources = witnesses([]string{"*"}, nil, resourcePatterns, false)
	default:
		resources = witnesses(values(st.Resources), values(st.NotResources), resourcePatterns, false)
	}
	var out []request
	for _, p := range principals {
		for _, a := range acts {
			for _, r := range resources {
				if len(out) == maxWitnesses {
					return out
				}
				out = append(out, request{a, r, p})
			}
		}
	}
	return out
}

// witnesses are texts that one of the patterns of a statement and, if there are any, one of the wanted
// patterns match. Of a statement with the complement (NotAction) they may be ones that it leaves out;
// the engine knows.
func witnesses(patterns, not, wanted []string, action bool) []string {
	if len(not) > 0 {
		patterns = []string{"*"}
	}
	if len(wanted) == 0 {
		wanted = []string{"*"}
	}
	var out []string
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, p := range patterns {
		for _, w := range wanted {
			text, ok := meet(p, w, action)
			if !ok {
				continue
			}
			if action {
				for _, known := range knownActions(p, w) {
					add(known)
				}
				if text == token { // any action of any service
					text = "s3:" + token
				}
			}
			add(text)
		}
	}
	return out
}

// knownActions are the actions of the table that both patterns match.
func knownActions(p, w string) []string {
	prefix, _, _ := strings.Cut(p, ":")
	if strings.ContainsAny(prefix, "*?") {
		prefix, _, _ = strings.Cut(w, ":")
	}
	service, ok := actions.Load().Service(strings.ToLower(prefix))
	if !ok {
		return nil
	}
	var out []string
	for _, a := range service.Actions() {
		_, inP := meet(a.Full(), p, true)
		if _, inW := meet(a.Full(), w, true); inP && inW {
			out = append(out, a.Full())
		}
	}
	return out
}

// someone is any principal of an account: what is said of it depends on open keys.
func someone(account string) authz.Principal {
	return authz.Principal{
		Type: authz.User, Account: account, ARN: arn.Make("iam", "", account, "user/"+token), UniqueID: "AIDA" + strings.ToUpper(token), Username: token,
	}
}

// principals are those that a statement of a resource-based policy names.
func principals(st *policy.Statement) []authz.Principal {
	if st.Principal == nil || st.Principal.Any {
		return []authz.Principal{someone(abroad)}
	}
	var out []authz.Principal
	for _, t := range st.Principal.AWS {
		out = append(out, named(t.Value))
	}
	for _, t := range st.Principal.Service {
		out = append(out, authz.Principal{Type: authz.Service, ARN: t.Value})
	}
	for range st.Principal.Federated {
		out = append(out, authz.Principal{Type: authz.Anonymous})
	}
	return out
}

// named is the principal of an ARN or account.
func named(who string) authz.Principal {
	if account, ok := policy.IsAccountPrincipal(who); ok {
		return someone(account)
	}
	a, err := arn.Parse(who)
	if err != nil {
		return someone(abroad)
	}
	kind, name, _ := strings.Cut(a.Resource, "/")
	p := authz.Principal{Type: authz.User, ARN: who, Account: a.Account, Username: name[strings.LastIndexByte(name, '/')+1:]}
	switch kind {
	case "role":
		p = authz.Principal{
			Type: authz.RoleSession, RoleARN: who, Account: a.Account,
			ARN: arn.Make("sts", "", a.Account, "assumed-role/"+name[strings.LastIndexByte(name, '/')+1:]+"/"+token),
		}
	case "assumed-role":
		role, _, _ := strings.Cut(name, "/")
		p = authz.Principal{Type: authz.RoleSession, ARN: who, Account: a.Account, RoleARN: arn.Make("iam", "", a.Account, "role/"+role)}
	}
	return p
}

func values(texts []policy.Text) []string {
	out := make([]string, len(texts))
	for i := range texts {
		out[i] = texts[i].Value
	}
	return out
}
