package policy

import "fmt"

// CheckOrganization parses a new service or resource control policy and checks what Organizations
// checks of the text: version 2012-10-17, a Resource in each statement, and of a resource control
// policy that it only denies, to everybody, and names actions. Every error is a [*SyntaxError].
// Sizes are the caller's.
//
// Source: AWS Organizations User Guide, "SCP syntax" and "RCP syntax".
func CheckOrganization(src []byte, kind Kind) (*Document, error) {
	d, err := Parse(src, kind)
	if err != nil {
		return nil, err
	}
	all := Pos{Line: 1, Column: 1, End: len(src)}
	if d.Version != Version2012 {
		return nil, badly(all, RuleVersion, "/Version", "Version must be "+Version2012)
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		at := fmt.Sprintf("/Statement/%d", i)
		switch {
		case len(s.Resources)+len(s.NotResources) == 0:
			return nil, badly(s.Pos, RuleProhibited, at, "Resource is missing")
		case kind != RCP:
		case s.Effect != Deny:
			return nil, badly(s.Pos, RuleProhibited, at+"/Effect", "a resource control policy can only deny")
		case s.Principal == nil || !s.Principal.Any || len(s.Principal.AWS)+len(s.Principal.Service)+len(s.Principal.Federated)+len(s.Principal.Canonical) > 0:
			return nil, badly(s.Pos, RuleProhibited, at+"/Principal", `the Principal of a resource control policy is "*"`)
		case len(s.NotActions) > 0:
			return nil, badly(s.Pos, RuleProhibited, at+"/NotAction", "a resource control policy names actions by Action")
		}
	}
	return d, nil
}

func badly(pos Pos, rule Rule, pointer, reason string) *SyntaxError {
	return &SyntaxError{Offset: pos.Start, Line: pos.Line, Column: pos.Column, Pointer: pointer, Reason: reason, Rule: rule}
}
