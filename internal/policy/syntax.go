package policy

import (
	"fmt"
	"unicode/utf8"
)

// A Rule is the rule of the policy grammar that a document breaks. Callers map it to the error
// of their own service.
type Rule uint8

// Rules.
const (
	RuleJSON        Rule = iota + 1 // not one JSON value in good UTF-8
	RuleDuplicate                   // the same name twice in one object
	RuleSize                        // longer than [MaxSize]
	RuleShape                       // an element has the wrong JSON type
	RuleUnknown                     // an element or principal type that the language does not have
	RulePair                        // both of Action and NotAction, or of another such pair
	RuleVersion                     // a version other than [Version2008] and [Version2012]
	RuleNoStatement                 // Statement is missing or empty
	RuleEffect                      // Effect is missing or neither Allow nor Deny
	RulePrincipal                   // a bare principal other than "*"
	RuleOperator                    // a condition operator that does not exist, with keys under it

	// The rules from here on are reported by [Parse] only if the document breaks none of the
	// above, because AWS looks at them later.

	RuleEffectCase // Effect is right but for upper and lower case
	RuleProhibited // an element that this kind of document may not have
	RuleCharacter  // an escape for a control character in a string
)

// A SyntaxError says where and how a document breaks the grammar.
type SyntaxError struct {
	Offset       int    // of the offending value, in bytes
	Pointer      string // to it, or to the object that misses something: a JSON pointer (RFC 6901)
	Line, Column int    // of Offset: 1-based, Column in characters
	Reason       string // English, without the place
	Rule         Rule
}

// Error prints place and reason. It may quote a few words of the document.
func (e *SyntaxError) Error() string {
	at := ""
	if e.Pointer != "" {
		at = " (" + e.Pointer + ")"
	}
	return fmt.Sprintf("policy: line %d, column %d%s: %s", e.Line, e.Column, at, e.Reason)
}

// A locator turns byte offsets into positions. Offsets that mostly grow cost one pass in all.
type locator struct {
	src       []byte
	off       int
	line, col int
}

// at returns the position of src[start:end]. Offsets beyond the source are cut to its end.
func (l *locator) at(start, end int) Pos {
	start, end = min(max(start, 0), len(l.src)), min(max(end, 0), len(l.src))
	if l.line == 0 || start < l.off {
		l.off, l.line, l.col = 0, 1, 1
	}
	for _, b := range l.src[l.off:start] {
		switch {
		case b == '\n':
			l.line, l.col = l.line+1, 1
		case utf8.RuneStart(b):
			l.col++
		}
	}
	l.off = start
	return Pos{Start: start, End: end, Line: l.line, Column: l.col}
}

// quote quotes user text for a reason, cut so that an error stays one short line.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return fmt.Sprintf("%q...", s[:cut])
	}
	return fmt.Sprintf("%q", s)
}
