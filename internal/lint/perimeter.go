package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// network are the keys that say where a request comes from. A request that a service makes for
// somebody has none of them, or the service's.
var network = []string{"aws:sourceip", "aws:vpcsourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths"}

// perimeterRules finds denies by network that hit the requests of a launch: those that EC2 forwards
// for its caller, and those of the role that opens the volumes of an instance. Both are decided by
// the engine under the one statement.
//
// Source: IAM User Guide, "AWS global condition context keys", aws:SourceIp and aws:ViaAWSService;
// "Forward access sessions".
func (l *linter) perimeterRules(s *statement) {
	if s.Effect != policy.Deny || l.opts.Kind == policy.Trust || l.opts.Kind == policy.Endpoint || l.opts.Kind == policy.Resource {
		return
	}
	i := slices.IndexFunc(s.Conditions, func(c policy.Condition) bool { return slices.Contains(network, strings.ToLower(c.Key)) })
	if i < 0 {
		return
	}
	key := s.Conditions[i].Key
	if denied := l.deniedForwarded(s); denied != "" {
		l.add("deny-hits-services", s.Statement, s.Conditions[i].Pos,
			speech.Say("A request that an AWS service forwards for its caller has no %s of the caller, so this denies it: %s, which EC2 asks for at every launch on an encrypted volume.", key, denied),
			speech.Say(`Add "Bool": {"aws:ViaAWSService": "false"}%s.`, infrastructureAdvice(l.opts.Kind)))
		return
	}
	if l.opts.Kind != policy.Key && l.opts.Kind != policy.RCP {
		return
	}
	account := l.probeAccount(s)
	r := l.request(launch.Infrastructure, launch.Decrypt, account)
	p, _ := r.Principal()
	if l.denies(r, p, s) {
		l.add("deny-hits-volumes", s.Statement, s.Conditions[i].Pos,
			speech.Say("EC2 opens the volumes of an instance as the role %s, without %s; this denies it kms:Decrypt, so instances do not start.", arn.InfrastructureRole(account), key),
			speech.Say(`Add "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-infrastructure"}.`))
	}
}

func infrastructureAdvice(kind policy.Kind) speech.Text {
	if kind != policy.Key && kind != policy.RCP {
		return speech.Text{}
	}
	return speech.Say(`, and "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-infrastructure"} for the role that opens the volumes`)
}

// probeAccount is the account whose launches a statement may hit.
func (l *linter) probeAccount(s *statement) string {
	if accounts, ok := principalAccounts(s.Principal); ok {
		return accounts[0]
	}
	if o := l.ownerOr(""); l.opts.Kind == policy.Key && o != "" {
		return o
	}
	if l.opts.Account != "" {
		return l.opts.Account
	}
	return probeAccount
}

// deniedForwarded is an action of a launch that the statement denies if EC2 asks for it, or "".
func (l *linter) deniedForwarded(s *statement) string {
	account := l.probeAccount(s)
	for _, p := range l.callers(s, account) {
		for _, call := range []launch.Call{launch.CreateGrant, launch.GenerateDataKey, launch.AuthorizeReEncrypt} {
			r := l.request(launch.Caller, call, account)
			if l.denies(r, p, s) {
				return r.Parts()[0].Action
			}
		}
	}
	return ""
}

// callers are those who launch instances and whom a statement may mean: its principals, or the
// role of Auto Scaling and a role of the account.
func (l *linter) callers(s *statement, account string) []authz.Principal {
	out := []authz.Principal{
		session(arn.Role(account, "/", "probe")),
		session(arn.Role(account, arn.ServiceLinkedPath(launchers[0]), "AWSServiceRoleForAutoScaling")),
	}
	if s.Principal == nil {
		return out
	}
	for _, t := range s.Principal.AWS {
		if a, ok := parseARN(t.Value); ok && strings.HasPrefix(a.Resource, "role/") {
			out = append(out, session(t.Value))
		}
	}
	return out
}

// denies reports whether the statement alone denies a request.
func (l *linter) denies(r launch.Request, p authz.Principal, s *statement) bool {
	for _, d := range l.decide(r, p, []policy.Statement{*s.Statement}) {
		if d.Outcome == authz.ExplicitDeny {
			return true
		}
	}
	return false
}
