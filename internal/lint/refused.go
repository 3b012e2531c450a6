package lint

import (
	"errors"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// refused makes the checks that AWS makes when the document is written, and parses it. l.doc stays
// nil if it does not parse.
func (l *linter) refused(src []byte) {
	doc, err := l.write(src)
	if err != nil {
		pos, reason := policy.Pos{Line: 1, Column: 1}, speech.Raw(err.Error())
		if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
			pos = policy.Pos{Start: e.Offset, End: e.Offset + 1, Line: e.Line, Column: e.Column}
			reason = speech.Say("The document is malformed: %s.", e.Reason)
			if l.opts.Kind == policy.SCP || l.opts.Kind == policy.RCP {
				reason = speech.Say("AWS answers MalformedPolicyDocumentException: %s.", e.Reason)
			}
		}
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			reason = speech.Say("AWS answers %s: %s", e.Code, e.Message)
			if p, ok := errors.AsType[*policy.PrincipalError](err); ok {
				pos, reason = p.Principal.Pos, speech.Join(reason, speech.Raw(" ("+p.Principal.Value+")"))
			}
			if s, ok := errors.AsType[*policy.SyntaxError](err); ok && l.opts.Kind != policy.Key {
				reason = speech.Join(reason, speech.Raw(" ("+s.Reason+")"))
			}
		}
		l.add("refused", nil, pos, reason, speech.Say("Correct the document; nothing can be decided by it as it is."))
		if doc, err = policy.Parse(src, l.opts.Kind); err != nil {
			return
		}
	}
	l.doc = doc
	l.size(src)
}

// write is what AWS does with a new document. Endpoint policies and those of other resources have no
// check of their own in package policy but their syntax.
func (l *linter) write(src []byte) (*policy.Document, error) {
	switch l.opts.Kind {
	case policy.Identity:
		return policy.CheckIdentity(src)
	case policy.Session:
		return policy.CheckSession(src)
	case policy.Trust:
		return policy.CheckTrust(src)
	case policy.Key:
		return policy.CheckKey(src)
	case policy.SCP, policy.RCP:
		return policy.CheckOrganization(src, l.opts.Kind)
	}
	return policy.Parse(src, l.opts.Kind)
}

// size compares with the quotas. Key policies are measured by [policy.CheckKey].
//
// Source: IAM User Guide, "IAM and AWS STS quotas"; AWS Organizations User Guide, "Quotas".
func (l *linter) size(src []byte) {
	n := policy.SizeWithoutSpace(src)
	all := policy.Pos{End: len(src), Line: 1, Column: 1}
	most, what, severity := 0, speech.Text{}, Error
	switch l.opts.Kind {
	case policy.Identity:
		most, what, severity = 6144, speech.Say("a managed policy"), Warning
		if n > 10240 {
			most, what, severity = 10240, speech.Say("the inline policies of a role"), Error
		}
	case policy.Session:
		most, what = 2048, speech.Say("session policies")
	case policy.Trust:
		most, what, severity = 2048, speech.Say("a trust policy, unless the quota was raised"), Warning
	case policy.SCP:
		n, most, what = len(src), 10240, speech.Say("a service control policy")
	case policy.RCP:
		n, most, what = len(src), 5120, speech.Say("a resource control policy")
	}
	if most > 0 && n > most {
		l.addAs(severity, "too-large", nil, all, speech.Say("The document has %d characters; the most for %s is %d.", n, what, most),
			speech.Say("Split the document, or say the same with fewer statements."))
	}
}
