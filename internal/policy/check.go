package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/apierr"
)

// The texts of IAM's MalformedPolicyDocument.
const (
	codeMalformed = "MalformedPolicyDocument"

	msgSyntax      = "Syntax errors in policy."
	msgNotJSON     = "The policy is not in the valid JSON format."
	msgTrustJSON   = "This policy contains invalid Json"
	msgUnknown     = "Unknown field "
	msgVersion     = "Policy document must be version 2012-10-17 or greater."
	msgLegacy      = "The policy failed legacy parsing"
	msgLeading     = "JSON strings must not have leading spaces"
	msgPrincipal   = "Policy document should not specify a principal."
	msgSidUnique   = "Statement IDs (SID) in a single policy must be unique."
	msgSidText     = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	msgNoActions   = "Policy statement must contain actions."
	msgNoResources = "Policy statement must contain resources."
	msgVendor      = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	msgColon       = "Actions/Condition can contain only one colon."
)

// charset is the pattern that the models of IAM, STS and KMS give for documents.
const charset = `[\u0009\u000A\u000D\u0020-\u00FF]+`

// CheckIdentity parses a new identity-based policy or permissions boundary and checks what IAM
// checks when it is written. Sizes are the caller's (see [SizeWithoutSpace]); services, actions
// and condition keys are not checked for existence, as in IAM.
//
// Every error is an [*apierr.Error]: MalformedPolicyDocument with IAM's text for the first of its
// checks that fails (in IAM's order: syntax, version, "legacy parsing" (which also wants the text to
// begin with its brace), principals, Sids, missing actions, ARNs, actions, missing resources), or ValidationException for characters outside the
// API's pattern. A [*SyntaxError], where there is one, is its cause.
//
// Source: IAM API Reference, CreatePolicy; IAM User Guide, "Grammar of the IAM JSON policy
// language". The texts and their order are those that the service was seen to send.
func CheckIdentity(src []byte) (*Document, error) {
	return check(src, Identity, "policyDocument", identityChecks)
}

// CheckSession is [CheckIdentity] for a session policy passed to STS, which tells text that is not
// JSON from other syntax errors.
//
// Source: STS API Reference, AssumeRole (MalformedPolicyDocument).
func CheckSession(src []byte) (*Document, error) {
	return check(src, Session, "policy", sessionChecks)
}

// CheckTrust is [CheckIdentity] for a role's trust policy: any version, no Resource, only STS
// actions that serve to assume a role, and a principal in every statement. Whether the principals
// exist is for the caller to check; see [InvalidPrincipal].
//
// Source: IAM API Reference, CreateRole; IAM User Guide, "IAM roles", trust policies.
func CheckTrust(src []byte) (*Document, error) {
	return check(src, Trust, "policyDocument", trustChecks)
}

// A draft is a document that parses, with the breaches of the later rules.
type draft struct {
	*Document
	later []*SyntaxError
}

// breach is the first breach of the rule, or nil.
func (d *draft) breach(rule Rule) *SyntaxError {
	for _, e := range d.later {
		if e.Rule == rule {
			return e
		}
	}
	return nil
}

// A checkFunc returns the text for the first breach it finds, or "".
type checkFunc func(*draft) string

var (
	sessionChecks = []checkFunc{
		checkCharacters, checkVersion, checkLegacy, checkNoPrincipal, checkSids,
		checkActionsExist, checkResources, checkActions, checkResourcesExist,
	}
	identityChecks = slices.Insert(slices.Clone(sessionChecks), 2, startsWithBrace(msgLegacy))
	trustChecks    = []checkFunc{
		checkCharacters, startsWithBrace(msgLeading), checkNoResource, checkLegacy, checkSids,
		checkActionsExist, checkActions, checkTrustActions, checkTrustPrincipals, checkTrustGitHub,
	}
)

func check(src []byte, kind Kind, member string, checks []checkFunc) (*Document, error) {
	if err := checkCharset(src, member); err != nil {
		return nil, err
	}
	d, later, err := parse(src, kind)
	if err != nil {
		return nil, apierr.New(codeMalformed, syntaxText(kind, err.(*SyntaxError))).Because(err)
	}
	dr := &draft{d, later}
	for _, f := range checks {
		if text := f(dr); text != "" {
			e := apierr.New(codeMalformed, text)
			if len(later) > 0 {
				e = e.Because(later[0])
			}
			return nil, e
		}
	}
	return d, nil
}

func syntaxText(kind Kind, e *SyntaxError) string {
	switch {
	case kind == Session && e.Rule == RuleJSON:
		return msgNotJSON
	case kind == Trust && e.Rule == RuleJSON:
		return msgTrustJSON
	case kind == Trust && e.Rule == RuleUnknown && !ofPrincipal(e.Pointer):
		return msgUnknown + jsontext.Pointer(e.Pointer).LastToken()
	}
	return msgSyntax
}

// ofPrincipal reports whether a pointer is to a member of Principal or NotPrincipal.
func ofPrincipal(pointer string) bool {
	parent := jsontext.Pointer(pointer).Parent().LastToken()
	return parent == "Principal" || parent == "NotPrincipal"
}

// checkCharset refuses text outside the pattern that the API models give. Text that is not UTF-8
// is left to the parser. The caller's wire layer may have refused it already.
func checkCharset(src []byte, member string) error {
	if !utf8.Valid(src) {
		return nil
	}
	for _, r := range string(src) {
		if isControl(r) || r > 0xFF {
			return apierr.Validation("1 validation error detected: Value at '%s' failed to satisfy constraint: "+
				"Member must satisfy regular expression pattern: %s", member, charset)
		}
	}
	return nil
}

func checkCharacters(d *draft) string {
	if d.breach(RuleCharacter) != nil {
		return msgSyntax
	}
	return ""
}

func checkVersion(d *draft) string {
	if d.Version != Version2012 {
		return msgVersion
	}
	return ""
}

// startsWithBrace gives a text for white space before the document, which IAM refuses though JSON
// allows it. Both texts are those that the service was seen to send.
func startsWithBrace(text string) checkFunc {
	return func(d *draft) string {
		if len(d.Source) > 0 && d.Source[0] != '{' {
			return text
		}
		return ""
	}
}

// checkLegacy is what IAM calls legacy parsing: the case of Effect, the colons of ARNs, dates.
func checkLegacy(d *draft) string {
	if d.breach(RuleEffectCase) != nil {
		return msgLegacy
	}
	for _, s := range d.Statements {
		for _, list := range [][]Text{s.Resources, s.NotResources} {
			for _, r := range list {
				if !legacyARN(r.Value) {
					return msgLegacy
				}
			}
		}
		for _, c := range s.Conditions {
			op, _ := ParseOperator(c.Operator)
			if strings.HasPrefix(op.Name, "Date") && slices.ContainsFunc(c.Values, func(t Text) bool { return !validDate(t.Value) }) {
				return msgLegacy
			}
		}
	}
	return ""
}

func checkNoPrincipal(d *draft) string {
	if d.breach(RuleProhibited) != nil {
		return msgPrincipal
	}
	return ""
}

func checkNoResource(d *draft) string {
	if e := d.breach(RuleProhibited); e != nil {
		return "Has prohibited field " + jsontext.Pointer(e.Pointer).LastToken()
	}
	return ""
}

// checkSids wants Sids of letters and digits, and unique ones; several empty Sids are fine.
func checkSids(d *draft) string {
	seen := make(map[string]bool, len(d.Statements))
	for _, s := range d.Statements {
		if s.Sid != "" && seen[s.Sid] {
			return msgSidUnique
		}
		seen[s.Sid] = true
	}
	for _, s := range d.Statements {
		if strings.ContainsFunc(s.Sid, func(r rune) bool { return !isAlphanumeric(r) }) {
			return msgSidText
		}
	}
	return ""
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func checkActionsExist(d *draft) string {
	for _, s := range d.Statements {
		if len(s.Actions)+len(s.NotActions) == 0 {
			return msgNoActions
		}
	}
	return ""
}

func checkResourcesExist(d *draft) string {
	for _, s := range d.Statements {
		if len(s.Resources)+len(s.NotResources) == 0 {
			return msgNoResources
		}
	}
	return ""
}

func checkActions(d *draft) string {
	for _, s := range d.Statements {
		for _, list := range [][]Text{s.Actions, s.NotActions} {
			for _, a := range list {
				if text := actionText(a.Value); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

// actionText is what is wrong with an action's form, or "".
func actionText(action string) string {
	if action == "*" {
		return ""
	}
	vendor, name, ok := strings.Cut(action, ":")
	switch {
	case !ok:
		return msgVendor
	case strings.Contains(name, ":"):
		return msgColon
	case vendor == "" || strings.ContainsFunc(vendor, func(r rune) bool {
		return !isAlphanumeric(r) && r != '-' && r != '.'
	}):
		return "Vendor " + vendor + " is not valid"
	}
	return ""
}

// SizeWithoutSpace is the length of a document as IAM counts it against its quotas: in
// characters, white space left out wherever it stands.
//
// Source: IAM User Guide, "IAM and AWS STS quotas" ("IAM doesn't count white space").
func SizeWithoutSpace(src []byte) int {
	n := 0
	for _, r := range string(src) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
