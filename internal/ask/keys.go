package ask

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

const encryptionContext = "kms:EncryptionContext:"

// documents yields every document that bears on a question.
func documents(c *Candidate, part *authz.Part) iter.Seq[*authz.Document] {
	return func(yield func(*authz.Document) bool) {
		all := [][]*authz.Document{c.Identity, {c.Boundary, part.Policy}}
		all = append(append(all, c.SCPs...), part.RCPs...)
		for _, docs := range all {
			for _, d := range docs {
				if d != nil && !yield(d) {
					return
				}
			}
		}
	}
}

// concerning are the grants of a part that name a principal, its role or its account. All others have no
// say, and a key may have very many.
func concerning(part *authz.Part, p *authz.Principal) iter.Seq[*authz.Grant] {
	root := arn.Root(p.Account)
	names := func(who, id string) bool {
		switch who {
		case "":
			return false
		case p.ARN, p.RoleARN, p.ParentARN, p.Account, root:
			return true
		}
		return id != "" && id == p.UniqueID
	}
	return func(yield func(*authz.Grant) bool) {
		if part.GrantIndex != nil {
			for g := range part.GrantIndex.Held(p) {
				if !yield(g) {
					return
				}
			}
		}
		for i := range part.Grants {
			g := &part.Grants[i]
			if (p.Type == authz.UnknownPrincipal || names(g.Grantee, g.GranteeID)) && !yield(g) {
				return
			}
		}
	}
}

// unknowns are the condition keys, in lower case, that the documents and grants ask for and that
// only a request has.
func unknowns(c *Candidate, part *authz.Part) []string {
	found := map[string]bool{}
	add := func(key string) {
		if key = strings.ToLower(key); !known(c, part, key) {
			found[key] = true
		}
	}
	for d := range documents(c, part) {
		if d.Source != nil {
			d.Source.ConditionKeys(add)
		}
	}
	for i := range part.Grants {
		g := &part.Grants[i]
		for _, pairs := range []map[string]string{g.ContextEquals, g.ContextSubset} {
			for k := range pairs {
				add(encryptionContext + k)
				add("kms:EncryptionContextKeys")
			}
		}
		if g.SourceARN != "" {
			add("aws:SourceArn")
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// known reports whether a key does not depend on the request: it is the principal's or the
// resource's, or one that the action never has.
func known(c *Candidate, part *authz.Part, key string) bool {
	for _, e := range part.Context {
		if strings.EqualFold(e.Key, key) {
			return true
		}
	}
	switch {
	case key == "aws:userid": // has the session's name
		return c.Principal.Type != authz.RoleSession
	case strings.HasPrefix(key, "aws:principal"), key == "aws:username", key == "aws:requestedregion", key == "kms:calleraccount",
		strings.HasPrefix(key, "aws:resource"):
		return true
	case key == "kms:grantisforawsresource":
		return !ofGrants(part.Action)
	case key == "kms:granteeprincipal", key == "kms:retiringprincipal", key == "kms:grantoperations", key == "kms:grantconstrainttype":
		return !strings.EqualFold(part.Action, "kms:CreateGrant")
	}
	return false
}

// ofGrants reports whether an action carries kms:GrantIsForAWSResource. Source: Service
// Authorization Reference, "AWS Key Management Service".
func ofGrants(action string) bool {
	switch strings.ToLower(action) {
	case "kms:creategrant", "kms:listgrants", "kms:revokegrant":
		return true
	}
	return false
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
