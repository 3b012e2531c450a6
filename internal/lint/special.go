package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// specialValues finds values of the keys of which more is known than their type. It reports
// whether the condition can never hold.
func (l *linter) specialValues(s *statement, c cond) bool {
	switch strings.ToLower(c.Key) {
	case "kms:viaservice":
		return l.viaService(s, c)
	case "kms:calleraccount":
		return l.callerAccount(s, c)
	case "aws:principalarn":
		return l.principalARN(s, c)
	}
	return false
}

// viaService checks service.region.amazonaws.com: the form, services that never forward requests
// to KMS, and the region of the key, which KMS serves alone.
//
// Source: KMS Developer Guide, "kms:ViaService".
func (l *linter) viaService(s *statement, c cond) bool {
	if isNull(c) {
		return false
	}
	bad := 0
	for _, v := range c.Values {
		if !plain(v.Value) {
			continue
		}
		service, rest, _ := strings.Cut(v.Value, ".")
		region, ok := strings.CutSuffix(strings.TrimSuffix(rest, ".cn"), ".amazonaws.com")
		example := launch.ViaService(l.keyRegion("REGION"))
		switch {
		case !ok || !regionForm.MatchString(region):
			bad++
			l.add("via-service", s.Statement, v.Pos, speech.Say("kms:ViaService is never %s: its form is SERVICE.REGION.amazonaws.com.", quote(v.Value)),
				speech.Say("Write %s.", quote(example)))
		case service == "autoscaling" || service == "ebs" || service == "spot" || service == "iam" || service == "sts":
			bad++
			l.add("via-service", s.Statement, v.Pos, speech.Say("%s never forwards requests to KMS. For the volumes of instances, whoever launches them, EC2 does.", service),
				speech.Say("Write %s.", quote(example)))
		case l.keyRegion("") != "" && region != l.keyRegion(""):
			bad++
			l.add("via-service-region", s.Statement, v.Pos,
				speech.Say("The key is in %s, so requests for it come through %s, never through %s.", l.keyRegion(""), quote(service+"."+l.keyRegion("")+".amazonaws.com"), quote(v.Value)),
				speech.Say("Write %s, or use StringLike with %s.", quote(service+"."+l.keyRegion("")+".amazonaws.com"), quote(service+".*.amazonaws.com")))
		case l.keyRegion("") == "" && l.opts.Kind == policy.Key:
			l.addAs(Note, "via-service-region", s.Statement, v.Pos,
				speech.Say("%s is right only for a key in %s. Say which key it is with --resource to have it checked.", quote(v.Value), region),
				speech.Say("Use StringLike with %s in a document for several regions.", quote(service+".*.amazonaws.com")))
		}
	}
	return bad > 0 && bad == len(c.Values)
}

// keyRegion is the region of the key that the document is attached to, or other.
func (l *linter) keyRegion(other string) string {
	if a, ok := parseARN(l.opts.Resource); ok && a.Region != "" {
		return a.Region
	}
	return other
}

// callerAccount checks kms:CallerAccount against the principals of the statement.
//
// Source: KMS Developer Guide, "kms:CallerAccount".
func (l *linter) callerAccount(s *statement, c cond) bool {
	if isNull(c) {
		return false
	}
	for _, v := range c.Values {
		if plain(v.Value) && !arn.IsAccount(v.Value) {
			l.add("caller-account", s.Statement, v.Pos, speech.Say("kms:CallerAccount is never %s: it is an account id of 12 digits.", quote(v.Value)), accountFix(v.Value))
			return true
		}
	}
	accounts, ok := principalAccounts(s.Principal)
	if !ok || s.Effect != policy.Allow {
		return false
	}
	if slices.ContainsFunc(accounts, func(a string) bool { return l.holdsText(c, a) }) {
		return false
	}
	l.add("caller-account", s.Statement, c.Pos,
		speech.Say("The principals of the statement are of account %s, which this condition excludes, so the statement applies to nobody.", listed(accounts)),
		speech.Say("Name the account of the principals, or remove the condition: Principal says it already."))
	return true
}

func accountFix(value string) speech.Text {
	if a, ok := policy.IsAccountPrincipal(value); ok {
		return speech.Say("Write %s.", quote(a))
	}
	return speech.Say("Write the account id.")
}

// principalAccounts are the accounts of the principals of a statement, if all are known.
func principalAccounts(p *policy.Principals) ([]string, bool) {
	if p == nil || p.Any || len(p.Service)+len(p.Federated)+len(p.Canonical) > 0 || len(p.AWS) == 0 {
		return nil, false
	}
	var out []string
	for _, t := range p.AWS {
		account := accountOf(t.Value)
		if account == "" {
			return nil, false
		}
		out = append(out, account)
	}
	slices.Sort(out)
	return slices.Compact(out), true
}

// accountOf is the account of an AWS principal, or "".
func accountOf(principal string) string {
	if a, ok := policy.IsAccountPrincipal(principal); ok {
		return a
	}
	if a, ok := parseARN(principal); ok && arn.IsAccount(a.Account) {
		return a.Account
	}
	return ""
}

// principalARN finds ARNs of sessions: for a session the key is the ARN of its role.
//
// Source: IAM User Guide, "AWS global condition context keys", aws:PrincipalArn.
func (l *linter) principalARN(s *statement, c cond) bool {
	bad := 0
	for _, v := range c.Values {
		f, ok := fields(v.Value)
		if !ok || f[2] != "sts" || !strings.HasPrefix(f[5], "assumed-role/") {
			continue
		}
		bad++
		role, _, _ := strings.Cut(strings.TrimPrefix(f[5], "assumed-role/"), "/")
		l.add("principal-arn-session", s.Statement, v.Pos,
			speech.Say("For the session of a role aws:PrincipalArn is the ARN of the role, so it is never %s.", quote(v.Value)),
			speech.Say("Write %s, with the role's path.", quote("arn:"+f[1]+":iam::"+f[4]+":role/"+role)))
	}
	return bad > 0 && bad == len(c.Values)
}
