package impact

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
)

// Kinds of change.
const (
	RevokeGrant     = "REVOKE_GRANT"
	RetireGrant     = "RETIRE_GRANT"
	DisableKey      = "DISABLE_KEY"
	ScheduleDelete  = "SCHEDULE_KEY_DELETION"
	RemoveStatement = "REMOVE_STATEMENT"
	ReplacePolicy   = "REPLACE_KEY_POLICY"
	DetachPolicy    = "DETACH_POLICY"
)

// Kinds are all of them.
func Kinds() []string {
	return []string{RevokeGrant, RetireGrant, DisableKey, ScheduleDelete, RemoveStatement, ReplacePolicy, DetachPolicy}
}

// A Change is what somebody thinks of doing. Which fields are there depends on the kind.
type Change struct {
	Kind      string
	KeyARN    string // all but DetachPolicy; of a grant it can be looked for
	Grant     string // id of the grant that ends
	Statement string // Sid of the statement that goes, or its number from 1
	Policy    []byte // that takes the place of the key's
	Principal string // ARN of the user or role that loses a policy
	Document  string // ARN or name of that policy
}

// Errors of a change that cannot be made.
var (
	ErrNoGrant     = errors.New("impact: no such grant")
	ErrNoStatement = errors.New("impact: no such statement")
	// ErrLastStatement: KMS takes no key policy without statements. Source: KMS Developer Guide, "Key
	// policies in AWS KMS", structure of a key policy.
	ErrLastStatement = errors.New("impact: it is the only statement of the policy, which must have one")
	ErrSameSid       = errors.New("impact: several statements have this Sid; name one by its number")
)

// Check reports what a change lacks, or has too much, in a sentence.
func (c *Change) Check() error {
	need := map[string]bool{}
	switch c.Kind {
	case RevokeGrant, RetireGrant:
		need["grant"] = true // its key can be looked for
	case DisableKey, ScheduleDelete:
		need["key"] = true
	case RemoveStatement:
		need["key"], need["statement"] = true, true
	case ReplacePolicy:
		need["key"], need["policy document"] = true, true
	case DetachPolicy:
		need["principal"], need["policy name"] = true, true
	default:
		return fmt.Errorf("the change %q is none of %s", c.Kind, strings.Join(Kinds(), ", "))
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"key", c.KeyARN != ""}, {"grant", c.Grant != ""}, {"statement", c.Statement != ""}, {"policy document", len(c.Policy) > 0},
		{"principal", c.Principal != ""}, {"policy name", c.Document != ""},
	} {
		switch {
		case need[f.name] && !f.given:
			return fmt.Errorf("the change %s needs a %s", c.Kind, f.name)
		case !need[f.name] && f.given && !(f.name == "key" && c.Grant != ""):
			return fmt.Errorf("the change %s has no %s", c.Kind, f.name)
		}
	}
	if p, err := arn.Parse(c.Principal); c.Principal != "" && (err != nil || p.Service != "iam" || p.Type() != "user" && p.Type() != "role") {
		return errors.New("the principal is not the ARN of a user or role")
	}
	return nil
}

// States of keys that cannot be used. Source: KMS Developer Guide, "Key states of AWS KMS keys".
const (
	disabled        = "Disabled"
	pendingDeletion = "PendingDeletion"
)

// Key applies the change to the kind and state of a key.
func (c *Change) Key(k *keyrule.Key) {
	if k.ARN() != c.KeyARN {
		return
	}
	switch c.Kind {
	case DisableKey:
		k.State = disabled
	case ScheduleDelete:
		k.State = pendingDeletion
	}
}

// Grants applies the change to the grants of a key; the list is not changed.
func (c *Change) Grants(keyARN string, grants []authz.Grant) []authz.Grant {
	if keyARN != c.KeyARN || c.Grant == "" {
		return grants
	}
	return slices.DeleteFunc(slices.Clone(grants), func(g authz.Grant) bool { return g.ID == c.Grant })
}

// KeyPolicy applies the change to the policy of a key.
func (c *Change) KeyPolicy(keyARN string, doc *authz.Document) (*authz.Document, error) {
	if keyARN != c.KeyARN || c.Kind != RemoveStatement && c.Kind != ReplacePolicy {
		return doc, nil
	}
	var next *policy.Document
	if c.Kind == ReplacePolicy {
		var err error
		if next, err = policy.Parse(c.Policy, policy.Key); err != nil {
			return nil, err
		}
	} else {
		if doc == nil || doc.Source == nil {
			return nil, ErrNoStatement
		}
		i, err := place(doc.Source, c.Statement)
		if err != nil {
			return nil, err
		}
		if len(doc.Source.Statements) == 1 {
			return nil, ErrLastStatement
		}
		next = new(*doc.Source)
		next.Statements = slices.Delete(slices.Clone(next.Statements), i, i+1)
	}
	out := authz.Compile(next, policy.Key)
	if doc != nil {
		out.Name, out.Owner, out.Attached = doc.Name, doc.Owner, doc.Attached
		// What is saved again means the principals of today; what is only shortened, those of then.
		if ids := doc.PrincipalIDs(); c.Kind == RemoveStatement && ids != nil {
			out.SetPrincipalIDs(ids)
		}
	}
	return out, nil
}

// place finds a statement by its Sid or number.
func place(doc *policy.Document, name string) (int, error) {
	at := -1
	for i := range doc.Statements {
		if doc.Statements[i].Sid != name {
			continue
		}
		if at >= 0 {
			return 0, ErrSameSid
		}
		at = i
	}
	if at >= 0 {
		return at, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, "#"))
	if err != nil || n < 1 || n > len(doc.Statements) {
		return 0, ErrNoStatement
	}
	return n - 1, nil
}

// Identity applies the change to the identity policies of a principal; the list is not changed. A
// managed policy that a user has of its own and of a group stays once: the user's own come last.
func (c *Change) Identity(principalARN string, docs []*authz.Document) []*authz.Document {
	if c.Kind != DetachPolicy || principalARN != c.Principal {
		return docs
	}
	for i, d := range slices.Backward(docs) {
		if d != nil && d.Name == c.Document && (d.Attached == c.Principal || strings.HasPrefix(d.Name, "arn:")) {
			return slices.Delete(slices.Clone(docs), i, i+1)
		}
	}
	return docs
}
