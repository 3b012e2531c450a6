package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/speech"
)

// partitions of AWS. Source: AWS General Reference, "AWS service endpoints"; IAM User Guide, ARNs.
var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"}

var regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)

// parseARN is [arn.Parse] for text that may be a pattern or empty.
func parseARN(s string) (arn.ARN, bool) {
	a, err := arn.Parse(s)
	return a, err == nil
}

// fields splits an entry of Resource at its first five colons outside policy variables. A star at
// the end of too few fields stands for the others.
func fields(pattern string) ([]string, bool) {
	var f []string
	start, depth := 0, 0
	for i := 0; i < len(pattern) && len(f) < 5; i++ {
		switch {
		case strings.HasPrefix(pattern[i:], "${"):
			depth++
		case pattern[i] == '}' && depth > 0:
			depth--
		case pattern[i] == ':' && depth == 0:
			f, start = append(f, pattern[start:i]), i+1
		}
	}
	f = append(f, pattern[start:])
	if n := len(f); n < 6 && n > 3 && strings.HasSuffix(f[n-1], "*") {
		for len(f) < 6 {
			f = append(f, "*")
		}
	}
	return f, len(f) == 6
}

// overlaps reports whether some ARN is matched by an entry of Resource and has the form of a
// template of the table. It never says no to an ARN that the engine would match.
func overlaps(pattern, template string) bool {
	if pattern == "*" {
		return true
	}
	p, ok := fields(pattern)
	t := strings.SplitN(template, ":", 6)
	if !ok || len(t) != 6 || !globs(p[0], "arn") || p[2] != t[2] {
		return false
	}
	if crosses(pattern, p, t) {
		return true
	}
	if !fieldProblem(p, t).Empty() {
		return false
	}
	return meet(unvary(p[5]), open(t[5]))
}

// crosses reports whether a star that ends the region or the account can run over colons, so that
// what follows it names the end of a resource. Of a template only the literal colons count: no name
// or id of the table's services has one.
func crosses(pattern string, p, t []string) bool {
	if slices.ContainsFunc(p[:5], func(f string) bool { return strings.Contains(f, "${") }) {
		return false
	}
	var ends []string // of the resource, after a colon
	whole := variable.ReplaceAllString(t[5], noColon)
	for rest := whole; ; {
		_, after, ok := strings.Cut(rest, ":")
		if !ok {
			break
		}
		ends, rest = append(ends, after), after
	}
	names := func(pattern string, ends []string) bool {
		return slices.ContainsFunc(ends, func(end string) bool { return meet(pattern, end) })
	}
	after := func(field int) (rest string, ok bool) { // as written: a star at the end stands for fields
		rest, ok = strings.CutPrefix(pattern, strings.Join(p[:field+1], ":")+":")
		return unvary(rest), ok && strings.HasSuffix(p[field], "*")
	}
	if rest, ok := after(3); ok && names(rest, append([]string{whole}, ends...)) {
		return true
	}
	rest, ok := after(4)
	return ok && names(rest, ends)
}

// fieldProblem says which of partition, region and account can be none of a template's, or nothing.
func fieldProblem(p, t []string) speech.Text {
	if slices.ContainsFunc(p[:5], func(f string) bool { return strings.Contains(f, "${") }) {
		return speech.Say("policy variables stand after the fifth colon only")
	}
	if !slices.ContainsFunc(partitions, func(s string) bool { return globs(p[1], s) }) {
		return speech.Say("there is no partition %s", quote(p[1]))
	}
	switch {
	case t[3] == "" && !meet(unvary(p[3]), ""):
		return speech.Say("such ARNs have no region")
	case t[3] != "" && p[3] == "":
		return speech.Say("the region is missing")
	case t[3] != "" && plain(p[3]) && !regionForm.MatchString(p[3]):
		return speech.Say("%s is no region", quote(p[3]))
	}
	switch {
	case t[4] == "" && !meet(unvary(p[4]), ""):
		return speech.Say("such ARNs have no account")
	case t[4] != "" && p[4] == "":
		return speech.Say("the account is missing")
	case t[4] == "${Account}" && p[4] != "aws" && !accountPattern(p[4]):
		return speech.Say("%s is no account id of 12 digits", quote(p[4]))
	case t[4] == "aws" && !globs(p[4], "aws"):
		return speech.Say("the account of such ARNs is aws")
	}
	return speech.Text{}
}

// accountPattern reports whether a field can match 12 digits.
func accountPattern(s string) bool {
	if strings.Trim(s, "0123456789*?") != "" {
		return false
	}
	digits := len(strings.ReplaceAll(s, "*", ""))
	return digits == 12 || digits < 12 && strings.Contains(s, "*")
}

func plain(s string) bool { return !strings.ContainsAny(s, "*?$") }

// globs asks the engine.
func globs(pattern, s string) bool {
	p := condition.Glob(pattern, false)
	return p.Match(&condition.Env{}, s) == condition.True
}

// noColon stands for any text without colons in the second pattern of [meet].
const noColon = "\x00"

// open makes a pattern of a template: a placeholder is any text.
func open(template string) string { return unvary(template) }

var variable = regexp.MustCompile(`\$\{[^}]*\}`)

// unvary replaces policy variables and placeholders by stars.
func unvary(s string) string { return variable.ReplaceAllString(s, "*") }

// meet reports whether some text is matched by both patterns of * and ?.
func meet(a, b string) bool {
	// can[j] reports whether the rest of a and b[j:] meet, for the rest of a looked at last.
	can := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		next := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			next[j] = meetAt(a, b, i, j, can, next)
		}
		can = next
	}
	return can[0]
}

func meetAt(a, b string, i, j int, below, row []bool) bool {
	switch {
	case i == len(a) && j == len(b):
		return true
	case i < len(a) && a[i] == '*':
		return below[j] || j < len(b) && row[j+1]
	case j < len(b) && (b[j] == '*' || b[j] == noColon[0]):
		return row[j+1] || i < len(a) && (b[j] == '*' || a[i] != ':') && below[j]
	case i == len(a) || j == len(b):
		return false
	case a[i] == '?' || b[j] == '?' || a[i] == b[j]:
		return below[j+1]
	}
	return false
}
