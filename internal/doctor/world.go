package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A world is a scenario made ready for decisions.
type world struct {
	sc         *format.Scenario
	docs       *authz.Cache
	keys       map[string]*key     // by ARN
	accounts   map[string]*account // by id
	principals map[string]int      // place in the scenario, by ARN
	tagKeys    []string            // condition keys that ask for tags of resources
	unsettled  []string            // condition keys that documents ask for and nobody can tell
	invalid    []string            // documents that are not policies, with the reason
	detached   *impact.Change      // of policies of principals, or nil
}

// A key of the world. What the setup does changes policy and grants.
type key struct {
	keyrule.Key
	at     int // place in the scenario
	policy *authz.Document
	grants []authz.Grant
	ended  []format.Grant // retired and revoked ones
	// unknownGrants and unknownState are why there may be others; "" if there are none.
	unknownGrants, unknownState string
	unknownTags                 bool
}

type account struct {
	format.Account
	at         int
	place      authz.AccountRole
	scps, rcps [][]*authz.Document
}

// fullAccess is what hangs on every account beside other service control policies.
const fullAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// newWorld compiles a scenario. docs remembers documents across the variants of one.
func newWorld(sc *format.Scenario, docs *authz.Cache) *world {
	w := &world{sc: sc, docs: docs, keys: map[string]*key{}, accounts: map[string]*account{}, principals: map[string]int{}}
	for i, a := range sc.Accounts {
		w.addAccount(i, a)
	}
	for i, k := range sc.Keys {
		w.addKey(i, k)
	}
	for i, p := range sc.Principals {
		w.principals[p.ARN] = i
	}
	w.findUnsettled()
	return w
}

// unknown tells why the fact at a place is not known, or whatever it is part of. Of a list of keys or
// principals that is not known, those that are listed are: there may be others.
func (w *world) unknown(path string) (why string, ok bool) {
	if len(w.sc.Unknown) == 0 {
		return "", false
	}
	for at := path; at != ""; at = at[:strings.LastIndexByte(at, '/')] {
		if why, ok = w.sc.Unknown[at]; ok && (at == path || at != "/principals" && at != "/keys") {
			return at + ": " + why, true
		}
	}
	return "", false
}

// document compiles the policy at a place. One that is not known, or is no policy, is Unknown.
func (w *world) document(path, name, owner, attached string, kind policy.Kind, src format.Document) *authz.Document {
	if why, ok := w.unknown(path); ok {
		if kind == policy.Key {
			name = "the key policy of " + name
		}
		return &authz.Document{Name: name + " (" + why + ")", Owner: owner, Attached: attached, Unknown: true}
	}
	shared, err := w.docs.Document(src.Compact(), kind)
	if err != nil {
		w.invalid = append(w.invalid, fmt.Sprintf("%s: %v", path, err))
		return &authz.Document{Name: name + " (" + path + " is not a policy)", Owner: owner, Attached: attached, Unknown: true}
	}
	doc := *shared
	doc.Name, doc.Owner, doc.Attached = name, owner, attached
	return &doc
}

func (w *world) addAccount(i int, a format.Account) {
	out := &account{Account: a, at: i}
	path := "/accounts/" + strconv.Itoa(i)
	level := func(kind policy.Kind, name string, policies []format.OrgPolicy, full bool) [][]*authz.Document {
		_, unknown := w.unknown(path + "/" + name)
		if len(policies) == 0 && !unknown {
			return nil
		}
		var docs []*authz.Document
		for j, p := range policies {
			docs = append(docs, w.document(fmt.Sprintf("%s/%s/%d/policy", path, name, j), p.Name, a.ID, a.ID, kind, p.Policy))
			full = full && !p.AllowList
		}
		if len(policies) == 0 {
			docs = append(docs, w.document(path+"/"+name, name+" of "+a.ID, a.ID, a.ID, kind, nil))
		}
		if full {
			doc := w.document("", "FullAWSAccess", "", a.ID, kind, format.Document(fullAccess))
			docs = append(docs, doc)
		}
		out.place = authz.Member
		return [][]*authz.Document{docs}
	}
	out.scps = level(policy.SCP, "scps", a.SCPs, true)
	out.rcps = level(policy.RCP, "rcps", a.RCPs, false)
	if a.Org != "" {
		out.place = authz.Member
	}
	w.accounts[a.ID] = out
}

func (w *world) addKey(i int, k format.Key) {
	a, _ := arn.Parse(k.ARN) // Parse checked it
	path := "/keys/" + strconv.Itoa(i)
	out := &key{at: i, Key: keyrule.Key{
		Region: k.Region, Account: k.Account, ID: a.ID(), Spec: k.Spec, Usage: k.Usage, Origin: "AWS_KMS", State: k.State,
		AWSManaged: k.Manager == format.ManagerAWS, MultiRegion: strings.HasPrefix(a.ID(), "mrk-"), Aliases: k.Aliases, Tags: authz.TagsOf(k.Tags),
	}}
	if k.State == "PendingImport" {
		out.Origin = "EXTERNAL"
	}
	out.policy = w.document(path+"/policy", k.ARN, k.Account, k.ARN, policy.Key, k.Policy)
	out.unknownGrants, _ = w.unknown(path + "/grants")
	_, out.unknownTags = w.unknown(path + "/tags")
	for _, member := range []string{"/state", "/spec", "/usage"} {
		if why, ok := w.unknown(path + member); ok {
			out.unknownState = why
		}
	}
	for _, g := range k.Grants {
		if g.Status != format.GrantActive {
			out.ended = append(out.ended, g)
			continue
		}
		out.grants = append(out.grants, w.grant(g, k.Account))
	}
	w.keys[k.ARN] = out
}

func (w *world) grant(g format.Grant, owner string) authz.Grant {
	out := authz.Grant{ID: g.ID, Grantee: g.GranteePrincipal, IssuingAccount: g.IssuingAccount, Operations: g.Operations}
	if out.IssuingAccount == "" {
		out.IssuingAccount = owner
	}
	if c := g.Constraints; c != nil {
		if len(c.EncryptionContextEquals) > 0 {
			out.ContextEquals = c.EncryptionContextEquals
		}
		if len(c.EncryptionContextSubset) > 0 {
			out.ContextSubset = c.EncryptionContextSubset
		}
	}
	return out
}

// clone is a world whose keys can be changed without the other's changing.
func (w *world) clone() *world {
	c := *w
	c.keys = make(map[string]*key, len(w.keys))
	for name, k := range w.keys {
		c.keys[name] = new(*k)
	}
	return &c
}

// settleable are prefixes of condition keys whose value the file does not tell.
var settleable = []string{
	"aws:principaltag/", "aws:principalorg", "aws:resourceorg", "aws:sourceorg", "aws:currenttime", "aws:epochtime", "aws:useragent", "aws:sourceip",
	"aws:sourcevpc", "aws:vpcsourceip", "aws:referer", "aws:multifactorauth", "aws:tokenissuetime", "aws:sourceidentity",
}

// findUnsettled collects the condition keys of that kind which documents ask for.
func (w *world) findUnsettled() {
	seen := map[string]bool{}
	for _, doc := range w.allDocuments() {
		if doc.Source == nil {
			continue
		}
		for _, st := range doc.Source.Statements {
			for _, c := range st.Conditions {
				name := strings.ToLower(c.Key)
				if strings.HasPrefix(name, "aws:resourcetag/") && !slices.Contains(w.tagKeys, name) {
					w.tagKeys = append(w.tagKeys, name)
				}
				for _, prefix := range settleable {
					if strings.HasPrefix(name, prefix) && !seen[name] {
						seen[name] = true
						w.unsettled = append(w.unsettled, name)
					}
				}
			}
		}
	}
}

// allDocuments are those of all keys, accounts and principals.
func (w *world) allDocuments() []*authz.Document {
	var out []*authz.Document
	for _, k := range w.keys {
		out = append(out, k.policy)
	}
	for _, a := range w.accounts {
		for _, level := range append(a.scps, a.rcps...) {
			out = append(out, level...)
		}
	}
	for i := range w.sc.Principals {
		s := w.subjectOf(i)
		out = append(out, s.identity...)
		if s.boundary != nil {
			out = append(out, s.boundary)
		}
	}
	for _, st := range w.sc.Setup {
		if st.Params.Policy != nil {
			if doc, err := w.docs.Document(st.Params.Policy.Compact(), policy.Key); err == nil {
				out = append(out, doc)
			}
		}
	}
	return out
}
