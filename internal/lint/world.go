package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/speech"
)

// A World is what is known around a document: principals, keys and grants.
type World struct {
	// Principals are ARNs of users and roles.
	Principals []string
	// Keys by ARN.
	Keys map[string]Key
	// complete are the accounts all of whose users ("user/") or roles ("role/") are in Principals.
	complete map[string]bool
	// noGrants: a list of grants was empty; it does not say of which key.
	noGrants bool
}

// A Key is what is known of a key.
type Key struct {
	AWSManaged bool
	// Grants of the key that are in force; nil if they are not known.
	Grants []Grant
}

// A Grant is a grant of a key.
type Grant struct {
	Grantee    string
	Operations []string
	// Exact reports that it demands exactly one encryption context, which is never that of a
	// volume yet to be made.
	Exact bool
}

// exists reports whether an AWS principal exists, or may.
func (w *World) exists(principal string) bool {
	a, ok := parseARN(principal)
	if !ok || a.Service != "iam" || a.Resource == "root" {
		return true
	}
	kind, _, _ := strings.Cut(a.Resource, "/")
	return !w.complete[a.Account+" "+kind] || slices.Contains(w.Principals, principal)
}

func (w *World) key(arn string) (Key, bool) {
	if w == nil {
		return Key{}, false
	}
	k, ok := w.Keys[arn]
	if k.Grants == nil && w.noGrants {
		return Key{k.AWSManaged, []Grant{}}, true
	}
	return k, ok
}

type worldFile struct {
	Schema string `json:"schema"`
	// A launch scenario.
	ScenarioKeys []struct {
		ARN     string          `json:"arn"`
		Manager string          `json:"manager"`
		Grants  []scenarioGrant `json:"grants"`
	} `json:"keys"`
	ScenarioPrincipals []struct {
		ARN string `json:"arn"`
	} `json:"principals"`
	ScenarioAccounts []struct {
		ID string `json:"id"`
	} `json:"accounts"`
	// Answers of the AWS command line.
	Roles  []named `json:"Roles"`
	Users  []named `json:"Users"`
	Role   *named  `json:"Role"`
	User   *named  `json:"User"`
	Grants []struct {
		KeyID       string   `json:"KeyId"`
		Grantee     string   `json:"GranteePrincipal"`
		Operations  []string `json:"Operations"`
		Constraints struct {
			Equals map[string]string `json:"EncryptionContextEquals"`
		} `json:"Constraints"`
	} `json:"Grants"`
	KeyMetadata *struct {
		ARN     string `json:"Arn"`
		Manager string `json:"KeyManager"`
	} `json:"KeyMetadata"`
}

type named struct {
	ARN string `json:"Arn"`
}

type scenarioGrant struct {
	Grantee     string   `json:"granteePrincipal"`
	Operations  []string `json:"operations"`
	Status      string   `json:"status"`
	Constraints *struct {
		Equals map[string]string `json:"encryptionContextEquals"`
	} `json:"constraints"`
}

// Add adds what a file says: a launch scenario, or an answer of the AWS command line to iam
// list-roles, list-users, get-role or get-user, or to kms list-grants or describe-key.
func (w *World) Add(src []byte) error {
	var f worldFile
	if err := json.Unmarshal(src, &f); err != nil {
		return fmt.Errorf("not JSON that is understood: %w", err)
	}
	if w.Keys == nil {
		w.Keys, w.complete = map[string]Key{}, map[string]bool{}
	}
	switch {
	case strings.HasPrefix(f.Schema, "kagimori.launch-scenario/"):
		w.scenario(&f)
	case f.Roles != nil || f.Users != nil:
		w.list(f.Roles, "role")
		w.list(f.Users, "user")
	case f.Role != nil:
		w.Principals = append(w.Principals, f.Role.ARN)
	case f.User != nil:
		w.Principals = append(w.Principals, f.User.ARN)
	case f.Grants != nil:
		w.noGrants = w.noGrants || len(f.Grants) == 0
		for _, g := range f.Grants {
			w.grant(g.KeyID, Grant{g.Grantee, g.Operations, len(g.Constraints.Equals) > 0})
		}
	case f.KeyMetadata != nil:
		k := w.Keys[f.KeyMetadata.ARN]
		k.AWSManaged = f.KeyMetadata.Manager == "AWS"
		w.Keys[f.KeyMetadata.ARN] = k
	default:
		return errors.New("neither a launch scenario nor an answer to iam list-roles, list-users, get-role, get-user, kms list-grants or kms describe-key")
	}
	return nil
}

// Complete says that all users and roles of an account are among the principals.
func (w *World) Complete(account string) {
	if w.complete == nil {
		w.complete = map[string]bool{}
	}
	w.complete[account+" role"], w.complete[account+" user"] = true, true
}

func (w *World) list(all []named, kind string) {
	for _, n := range all {
		w.Principals = append(w.Principals, n.ARN)
		if a, ok := parseARN(n.ARN); ok {
			w.complete[a.Account+" "+kind] = true
		}
	}
}

func (w *World) grant(key string, g Grant) {
	k := w.Keys[key]
	k.Grants = append(k.Grants, g)
	w.Keys[key] = k
}

func (w *World) scenario(f *worldFile) {
	for _, p := range f.ScenarioPrincipals {
		w.Principals = append(w.Principals, p.ARN)
	}
	for _, a := range f.ScenarioAccounts {
		w.Complete(a.ID)
	}
	for _, k := range f.ScenarioKeys {
		w.Keys[k.ARN] = Key{AWSManaged: k.Manager == "AWS", Grants: []Grant{}}
		for _, g := range k.Grants {
			if g.Status == "" || g.Status == "active" {
				w.grant(k.ARN, Grant{g.Grantee, g.Operations, g.Constraints != nil && len(g.Constraints.Equals) > 0})
			}
		}
	}
}

// launching reports whether a grant lets its grantee launch instances on volumes under the key,
// and if not, what is missing.
func (g Grant) launching() (bool, speech.Text) {
	if g.Exact {
		return false, speech.Say("its constraint EncryptionContextEquals is not the context of the volumes")
	}
	for _, op := range []string{"CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext"} {
		if !slices.Contains(g.Operations, op) {
			return false, speech.Say("it lacks the operation %s", op)
		}
	}
	return true, speech.Text{}
}

// linkedGrantee reports whether a grant is to a service-linked role of an account.
func (g Grant) linkedGrantee(account string) bool {
	return accountOf(g.Grantee) == account && strings.Contains(g.Grantee, ":role/aws-service-role/")
}
