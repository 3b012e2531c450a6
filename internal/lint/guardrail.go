package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// guardrailRules looks at what policies that limit do to launches on encrypted volumes and to
// AWS's own callers.
func (l *linter) guardrailRules(statements []*statement) {
	for _, s := range statements {
		if l.opts.Kind == policy.Resource && s.Effect == policy.Allow && s.Principal != nil {
			for _, t := range s.Principal.Service {
				l.confusedDeputy(s, t, speech.Say("%s may use the resource for the resources of any account that asks it.", t.Value))
			}
		}
		if s.Effect == policy.Deny {
			l.deniedLaunch(s)
			l.deniedServices(s)
			l.exemptRole(s)
		}
	}
	l.launchWithoutKeys(statements)
}

// deniedLaunch finds denies of single KMS actions that hit what EC2 asks for with the identity of
// whoever launches. A deny of everything, or of all of KMS, says that itself; one by network is
// [linter.perimeterRules]'s.
//
// Source: EBS User Guide, "Requirements for Amazon EBS encryption", Permissions for IAM users;
// KMS Developer Guide, "kms:GrantIsForAWSResource".
func (l *linter) deniedLaunch(s *statement) {
	if l.opts.Kind == policy.Trust || l.opts.Kind == policy.Endpoint || l.opts.Kind == policy.Resource || byNetwork(s) {
		return
	}
	denied := l.deniedForwarded(s)
	if denied == "" {
		return
	}
	i := slices.IndexFunc(s.entries, func(e entry) bool {
		return e.Value != "*" && !strings.EqualFold(e.Value, "kms:*") && matcher(e.Value)(denied)
	})
	if i < 0 {
		return
	}
	fix := speech.Say(`Add "StringNotLike": {"kms:ViaService": "ec2.*.amazonaws.com"}, so that requests through EC2 are spared.`)
	if denied == "kms:CreateGrant" {
		fix = speech.Say(`Add "Bool": {"kms:GrantIsForAWSResource": "false"}, so that only grants are denied that people make themselves.`)
	}
	who := speech.Say("whoever launches instances")
	switch {
	case l.opts.Kind == policy.SCP || l.opts.Kind == policy.RCP:
		who = speech.Say("people and tools that launch instances (service-linked roles, such as Auto Scaling's, are spared)")
	case l.opts.Kind == policy.Identity || l.opts.Kind == policy.Session:
		who = speech.Say("its principal")
	}
	l.add("deny-hits-launches", s.Statement, s.entries[i].Pos,
		speech.Say("This denies %s to %s: EC2 asks for it with the caller's identity at launches on encrypted volumes and when they are attached.", denied, who), fix)
}

// byNetwork reports whether a statement asks where a request comes from.
func byNetwork(s *statement) bool {
	return slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool { return slices.Contains(network, strings.ToLower(c.Key)) })
}

// ofCaller are the keys that tell who calls. A service that calls as itself has none of them.
var ofCaller = []string{"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn", "aws:principaltag/", "kms:calleraccount"}

// deniedServices finds denies to all but some callers that hit AWS services too: they call as
// themselves, without the keys that tell who calls, and a negated condition holds without its key.
//
// Source: IAM User Guide, "AWS global condition context keys", aws:PrincipalIsAWSService; AWS
// Organizations User Guide, "Resource control policies", Examples.
func (l *linter) deniedServices(s *statement) {
	if l.opts.Kind != policy.RCP && l.opts.Kind != policy.Key || s.Principal == nil || !s.Principal.Any || byNetwork(s) {
		return
	}
	i := slices.IndexFunc(s.Conditions, func(c policy.Condition) bool {
		return negated(l.cond(c).op) && slices.ContainsFunc(ofCaller, func(prefix string) bool { return strings.HasPrefix(strings.ToLower(c.Key), prefix) })
	})
	if i < 0 {
		return
	}
	r := l.request(launch.EBS, launch.Decrypt, l.probeAccount(s))
	p := authz.Principal{Type: authz.Service, ARN: launch.EBSService}
	if !l.deniesService(r, p, s) {
		return
	}
	key := s.Conditions[i].Key
	l.add("deny-hits-service-principals", s.Statement, s.Conditions[i].Pos,
		speech.Say("An AWS service that calls as itself has no %s, for which this holds, so it is denied too: Amazon EBS, say, that reads a snapshot by a grant.", key),
		speech.Say(`Add "BoolIfExists": {"aws:PrincipalIsAWSService": "false"}.`))
}

// deniesService is [linter.denies] for a caller that is a service, of which is known what keys it
// has not.
func (l *linter) deniesService(r launch.Request, p authz.Principal, s *statement) bool {
	doc := authz.Compile(&policy.Document{Version: l.doc.Version, Statements: []policy.Statement{*s.Statement}}, l.opts.Kind)
	for _, part := range r.Parts() {
		if l.opts.Kind == policy.Key {
			part.Policy = doc
		} else {
			part.RCPs = [][]*authz.Document{{doc}}
			part.Resource.AccountRole = authz.Member
		}
		req := authz.Request{Principal: p, Parts: []authz.Part{part}}
		if authz.Decide(&req).Outcome == authz.ExplicitDeny {
			return true
		}
	}
	return false
}

// exemptRole finds denies that are for service-linked roles alone, which no policy of an
// organization limits.
//
// Source: AWS Organizations User Guide, "Service control policies" and "Resource control policies",
// Entities not restricted.
func (l *linter) exemptRole(s *statement) {
	if l.opts.Kind != policy.SCP && l.opts.Kind != policy.RCP {
		return
	}
	for _, c := range s.Conditions {
		k := l.cond(c)
		if !strings.EqualFold(c.Key, "aws:PrincipalArn") || negated(k.op) || isNull(k) || k.op.IfExists || len(c.Values) == 0 {
			continue
		}
		if !slices.ContainsFunc(c.Values, func(v policy.Text) bool { return !strings.Contains(v.Value, ":role/aws-service-role/") }) {
			l.add("linked-role-exempt", s.Statement, c.Pos, speech.Say("No policy of an organization limits service-linked roles, so the statement denies nothing."),
				speech.Say("Remove the statement. What such a role may do with a key is limited by the key policy."))
		}
	}
}

// launchWithoutKeys finds documents that allow a part of a launch on encrypted volumes: identity-based
// policies that allow to make them but not to attach them, and service control policies that allow
// launches but no use of keys.
//
// Source: EBS User Guide, "Requirements for Amazon EBS encryption", Permissions for IAM users.
func (l *linter) launchWithoutKeys(statements []*statement) {
	const generate, create = "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"
	ec2 := []string{"ec2:RunInstances", "ec2:CreateVolume", "ec2:AttachVolume"}
	covers := func(action string) bool {
		return slices.ContainsFunc(statements, func(s *statement) bool { return s.Effect == policy.Allow && s.covers(action) })
	}
	if covers(create) {
		return
	}
	entryFor := func(fits func(*entry) bool) (*statement, policy.Text) {
		for _, s := range statements {
			for i := range s.entries {
				if s.Effect == policy.Allow && fits(&s.entries[i]) {
					return s, s.entries[i].Text
				}
			}
		}
		return nil, policy.Text{}
	}
	switch l.opts.Kind {
	case policy.Identity:
		launches := slices.ContainsFunc(ec2, covers)
		s, t := entryFor(func(e *entry) bool {
			return strings.EqualFold(e.Value, generate) || launches && matcher(e.Value)(generate)
		})
		if s != nil {
			l.add("launch-incomplete", s.Statement, t.Pos,
				speech.Say("The document allows %s, by which encrypted volumes are made, but not %s, without which they cannot be attached.", generate, create),
				speech.Say(`Allow %s on the same keys too, with "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}.`, create))
		}
	case policy.SCP:
		s, t := entryFor(func(e *entry) bool { return slices.ContainsFunc(ec2, matcher(e.Value)) })
		if s != nil {
			l.add("launch-incomplete", s.Statement, t.Pos,
				speech.Say("The policy allows launches but not %s, which people and tools need to launch on encrypted volumes. Unless another policy of the same target allows it, nobody below can.", create),
				speech.Say("Allow the KMS actions of launches too: %s, kms:ReEncrypt*, kms:Decrypt and %s.", generate, create))
		}
	}
}
