package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
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
			l.add("via-service", s.Statement, v.Pos, "kms:ViaService is never "+quote(v.Value)+": its form is SERVICE.REGION.amazonaws.com.",
				"Write "+quote(example)+".")
		case service == "autoscaling" || service == "ebs" || service == "spot" || service == "iam" || service == "sts":
			bad++
			l.add("via-service", s.Statement, v.Pos, service+" never forwards requests to KMS. For the volumes of instances, whoever launches them, EC2 does.",
				"Write "+quote(example)+".")
		case l.keyRegion("") != "" && region != l.keyRegion(""):
			bad++
			l.add("via-service-region", s.Statement, v.Pos,
				"The key is in "+l.keyRegion("")+", so requests for it come through "+quote(service+"."+l.keyRegion("")+".amazonaws.com")+", never through "+quote(v.Value)+".",
				"Write "+quote(service+"."+l.keyRegion("")+".amazonaws.com")+", or use StringLike with "+quote(service+".*.amazonaws.com")+".")
		case l.keyRegion("") == "" && l.opts.Kind == policy.Key:
			l.addAs(Note, "via-service-region", s.Statement, v.Pos,
				quote(v.Value)+" is right only for a key in "+region+". Say which key it is with --resource to have it checked.",
				"Use StringLike with "+quote(service+".*.amazonaws.com")+" in a document for several regions.")
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
			l.add("caller-account", s.Statement, v.Pos, "kms:CallerAccount is never "+quote(v.Value)+": it is an account id of 12 digits.", accountFix(v.Value))
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
		"The principals of the statement are of account "+listed(accounts)+", which this condition excludes, so the statement applies to nobody.",
		"Name the account of the principals, or remove the condition: Principal says it already.")
	return true
}

func accountFix(value string) string {
	if a, ok := policy.IsAccountPrincipal(value); ok {
		return "Write " + quote(a) + "."
	}
	return "Write the account id."
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
			"For the session of a role aws:PrincipalArn is the ARN of the role, so it is never "+quote(v.Value)+".",
			"Write "+quote("arn:"+f[1]+":iam::"+f[4]+":role/"+role)+", with the role's path.")
	}
	return bad > 0 && bad == len(c.Values)
}
