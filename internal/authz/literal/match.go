package literal

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// naming lists how principals name the caller: "self", "role" (also the user behind a federated
// user) and "account".
func (l *literal) naming(d *authz.Document, ps *policy.Principals) []string {
	var how []string
	if ps.Any {
		how = append(how, "self")
	}
	for _, t := range ps.AWS {
		how = append(how, l.is(t.Value, d.PrincipalIDs()[t.Value])...)
	}
	for _, t := range ps.Service {
		if l.req.Principal.Type == authz.Service && t.Value == l.req.Principal.ARN {
			how = append(how, "self")
		}
	}
	return how
}

func (l *literal) is(who, id string) []string {
	p := &l.req.Principal
	alive := id == "" || p.UniqueID == "" || id == p.UniqueID
	switch {
	case p.Type == authz.Service, p.Type == authz.Anonymous, who == "":
		return nil
	case who == p.Account, who == "arn:aws:iam::"+p.Account+":root":
		return []string{"account"}
	case p.Type == authz.Root, !alive:
		return nil
	case who == p.ARN, p.Type == authz.User && p.UniqueID != "" && (who == p.UniqueID || id == p.UniqueID):
		return []string{"self"}
	case p.Type == authz.RoleSession && (who == p.RoleARN || who == p.UniqueID),
		p.Type == authz.FederatedUser && (who == p.ParentARN || who == p.UniqueID):
		return []string{"role"}
	}
	return nil
}

func (l *literal) namedAtAll(d *authz.Document, s *policy.Statement) bool {
	switch {
	case s.Principal != nil:
		return len(l.naming(d, s.Principal)) > 0
	case s.NotPrincipal == nil || s.Effect == policy.Allow:
		return false
	}
	return !l.listed(d, s.NotPrincipal)
}

func (l *literal) deniedByResource(d *authz.Document, s *policy.Statement) bool {
	return s.NotPrincipal != nil && l.req.Boundary != nil || l.namedAtAll(d, s)
}

// listed reports whether a NotPrincipal lists all that the caller is.
func (l *literal) listed(d *authz.Document, ps *policy.Principals) bool {
	how := l.naming(d, ps)
	if ps.Any {
		return true
	}
	want := map[authz.PrincipalType][]string{
		authz.Root: {"account"}, authz.User: {"account", "self"}, authz.Service: {"self"},
		authz.RoleSession: {"account", "role", "self"}, authz.FederatedUser: {"account", "role", "self"},
		authz.Anonymous: {"never"},
	}[l.req.Principal.Type]
	for _, w := range want {
		if !slices.Contains(how, w) {
			return false
		}
	}
	return true
}

// applies reports whether action, resource and conditions of a statement match.
func (l *literal) applies(d *authz.Document, s *policy.Statement) bool {
	action := func(list []policy.Text) bool {
		return slices.ContainsFunc(list, func(t policy.Text) bool {
			prefix, _, _ := strings.Cut(t.Value, ":")
			return t.Value == "*" || !strings.ContainsAny(prefix, "*?") && like(strings.ToLower(t.Value), strings.ToLower(l.part.Action))
		})
	}
	vars := d.Source.Version == policy.Version2012
	resource := func(list []policy.Text) bool {
		return slices.ContainsFunc(list, func(t policy.Text) bool { return l.resourceMatches(t.Value, vars) })
	}
	if len(s.Actions) > 0 && !action(s.Actions) || len(s.Actions) == 0 && (len(s.NotActions) == 0 || action(s.NotActions)) {
		return false
	}
	switch {
	case len(s.Resources) > 0 && !resource(s.Resources), len(s.NotResources) > 0 && resource(s.NotResources):
		return false
	case len(s.Resources)+len(s.NotResources) == 0 && !(d == l.part.Policy && strings.HasPrefix(l.part.Action, "sts:")):
		return false
	}
	return !slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool { return !l.holds(c, vars) })
}

// expressions are the regular expressions that were made, by their text.
var expressions sync.Map

func expression(text string) *regexp.Regexp {
	if re, ok := expressions.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(text)
	expressions.Store(text, re)
	return re
}

func like(pattern, s string) bool {
	return expression(`(?s)\A` + wild(pattern, ".") + `\z`).MatchString(s)
}

// wild turns a pattern into a regular expression in which wildcards match what class says.
func wild(pattern, class string) string {
	q := regexp.QuoteMeta(pattern)
	return strings.ReplaceAll(strings.ReplaceAll(q, `\*`, class+"*"), `\?`, class)
}

var variable = regexp.MustCompile(`\$\{([^},]*)(?:, '([^']*)')?\}`)

// substitute gives a regular expression for a pattern with variables; class is what wildcards
// match, "" if there are none. ok is false if a variable has no value.
func (l *literal) substitute(pattern, class string, vars bool) (re string, ok bool) {
	wild := wild
	if class == "" {
		wild = func(s, _ string) string { return regexp.QuoteMeta(s) }
	}
	if !vars {
		return wild(pattern, class), true
	}
	last := 0
	for _, m := range variable.FindAllStringSubmatchIndex(pattern, -1) {
		re += wild(pattern[last:m[0]], class)
		last = m[1]
		name := pattern[m[2]:m[3]]
		v, found := l.keys[strings.ToLower(name)]
		switch {
		case name == "*" || name == "?" || name == "$":
			re += regexp.QuoteMeta(name)
		case found && !v.Multi:
			re += regexp.QuoteMeta(v.One)
		case (!found || v.Multi && len(v.List) == 0) && m[4] >= 0:
			re += regexp.QuoteMeta(pattern[m[4]:m[5]])
		default:
			return "", false
		}
	}
	return re + wild(pattern[last:], class), true
}

func (l *literal) resourceMatches(pattern string, vars bool) bool {
	if pattern == "*" {
		return true
	}
	parts := strings.SplitN(pattern, ":", 6)
	have := strings.SplitN(l.part.Resource.ARN, ":", 6)
	if parts[0] != "arn" || have[0] != "arn" || len(parts) < 4 || strings.ContainsAny(parts[2], "*?") {
		return false
	}
	if vars && strings.Contains(strings.Join(parts[:min(5, len(parts))], ":"), "${") {
		return false
	}
	if len(parts) < 6 && !strings.HasSuffix(pattern, "*") {
		return false
	}
	// A star that ends the Region, the account or the whole may run over colons.
	for i, p := range parts {
		class, rest := "[^:]", ""
		if i >= 3 && strings.HasSuffix(p, "*") {
			p, rest = strings.TrimSuffix(p, "*"), ".*"
		}
		if i == 5 {
			class = "."
		}
		re, ok := l.substitute(p, class, vars && i == 5)
		if !ok {
			return false
		}
		parts[i] = re + rest
	}
	return expression(`(?s)\A` + strings.Join(parts, ":") + `\z`).MatchString(l.part.Resource.ARN)
}

// holds evaluates one condition.
func (l *literal) holds(c policy.Condition, vars bool) bool {
	set, name, found := strings.Cut(c.Operator, ":")
	if !found {
		set, name = "", set
	}
	name, ifExists := strings.CutSuffix(name, "IfExists")
	v, present := l.keys[strings.ToLower(c.Key)]
	present = present && !(v.Multi && len(v.List) == 0)
	if name == "Null" {
		return slices.ContainsFunc(c.Values, func(t policy.Text) bool { return (t.Value == "true") == !present })
	}
	negated := strings.Contains(name, "Not")
	name = strings.Replace(name, "Not", "", 1)
	if !present {
		return ifExists || set == policy.ForAllValues || set == "" && negated
	}
	values := v.List
	if !v.Multi {
		values = []string{v.One}
	}
	one := func(s string) bool {
		return slices.ContainsFunc(c.Values, func(t policy.Text) bool { return l.compare(name, t.Value, s, vars) }) != negated
	}
	switch set {
	case policy.ForAllValues:
		nothing := !slices.ContainsFunc(values, func(s string) bool { return s != "" })
		return nothing || !slices.ContainsFunc(values, func(s string) bool { return !one(s) })
	case policy.ForAnyValue:
		return slices.ContainsFunc(values, one)
	}
	return len(values) == 1 && one(values[0])
}

func (l *literal) compare(name, want, got string, vars bool) bool {
	switch name {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike":
		class := ""
		if name == "StringLike" {
			class = "."
		}
		re, ok := l.substitute(want, class, vars)
		if name == "StringEqualsIgnoreCase" {
			re = "(?i:" + re + ")"
		}
		return ok && expression(`(?s)\A`+re+`\z`).MatchString(got)
	case "ArnEquals", "ArnLike":
		w, g := strings.SplitN(want, ":", 6), strings.SplitN(got, ":", 6)
		if len(w) != 6 || len(g) != 6 || g[0] != "arn" {
			return false
		}
		for i := range w {
			if !like(w[i], g[i]) {
				return false
			}
		}
		return true
	case "Bool":
		return strings.EqualFold(want, got) && (strings.EqualFold(got, "true") || strings.EqualFold(got, "false"))
	case "BinaryEquals":
		a, err1 := base64.StdEncoding.DecodeString(want)
		b, err2 := base64.StdEncoding.DecodeString(got)
		return err1 == nil && err2 == nil && string(a) == string(b)
	case "IpAddress":
		if !strings.Contains(want, "/") {
			return want == got
		}
		n, err1 := netip.ParsePrefix(want)
		a, err2 := netip.ParseAddr(got)
		return err1 == nil && err2 == nil && n.Contains(a)
	}
	if rest, ok := strings.CutPrefix(name, "Numeric"); ok {
		w, ok1 := new(big.Rat).SetString(want)
		g, ok2 := new(big.Rat).SetString(got)
		return ok1 && ok2 && ordered(rest, g.Cmp(w))
	}
	w, ok1 := instant(want)
	g, ok2 := instant(got)
	return ok1 && ok2 && ordered(strings.TrimPrefix(name, "Date"), g.Compare(w))
}

func instant(s string) (time.Time, bool) {
	for _, f := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04Z07:00", time.RFC3339Nano} {
		if t, err := time.Parse(f, s); err == nil {
			return t, true
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	return time.Unix(0, 0).Add(time.Second * time.Duration(n.Int64())), ok
}

func ordered(relation string, c int) bool {
	return map[string]bool{
		"Equals": c == 0, "LessThan": c < 0, "LessThanEquals": c <= 0, "GreaterThan": c > 0, "GreaterThanEquals": c >= 0,
	}[relation]
}

// grantable are the operations that a grant can give.
var grantable = regexp.MustCompile(`^((En|De)crypt|ReEncrypt(From|To)|GenerateDataKey(Pair)?(WithoutPlaintext)?|(Generate|Verify)Mac|Sign|Verify|` +
	`DeriveSharedSecret|Encapsulate|Decapsulate|GetPublicKey|DescribeKey|CreateGrant|RetireGrant)$`)

// grants lists how usable grants name the caller.
func (l *literal) grants() []string {
	var how []string
	operation, kms := strings.CutPrefix(l.part.Action, "kms:")
	for _, g := range l.part.Grants {
		if kms && slices.Contains(g.Operations, operation) && grantable.MatchString(operation) && l.constraintsHold(&g, operation) {
			how = append(how, l.grantee(g.Grantee, g.GranteeID)...)
		}
	}
	return how
}

func (l *literal) grantee(who, id string) []string {
	p := &l.req.Principal
	how := l.is(who, id)
	if p.Type == authz.Service && who == p.ARN || p.Type == authz.Root && slices.Contains(how, "account") {
		return []string{"self"}
	}
	return how
}

func (l *literal) constraintsHold(g *authz.Grant, operation string) bool {
	all := func(want, have map[string]string) bool {
		for k, v := range want {
			if w, ok := have[k]; !ok || w != v {
				return false
			}
		}
		return true
	}
	if g.SourceARN != "" && l.keys["aws:sourcearn"].One != g.SourceARN {
		return false
	}
	switch child := l.part.NewGrant; operation {
	case "DescribeKey":
		return true
	case "CreateGrant":
		for _, op := range child.Operations {
			if !slices.Contains(g.Operations, op) {
				return false
			}
		}
		switch {
		case g.SourceARN != "" && g.SourceARN != child.SourceARN:
			return false
		case g.ContextEquals != nil:
			return child.ContextEquals != nil && len(child.ContextEquals) == len(g.ContextEquals) && all(g.ContextEquals, child.ContextEquals)
		case g.ContextSubset != nil && child.ContextEquals != nil:
			return all(g.ContextSubset, child.ContextEquals)
		case g.ContextSubset != nil:
			return child.ContextSubset != nil && all(g.ContextSubset, child.ContextSubset)
		}
		return true
	}
	have := l.part.EncryptionContext
	return all(g.ContextSubset, have) && (g.ContextEquals == nil || len(have) == len(g.ContextEquals) && all(g.ContextEquals, have))
}

// retirers lists how the target of RetireGrant lets the caller retire it.
func (l *literal) retirers() []string {
	g := l.part.Target
	if g == nil {
		return nil
	}
	how := l.grantee(g.Retiring, g.RetiringID)
	if slices.Contains(g.Operations, "RetireGrant") {
		how = append(how, l.grantee(g.Grantee, g.GranteeID)...)
	}
	return append(how, l.grantee(g.IssuingAccount, "")...)
}
