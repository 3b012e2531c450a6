package lint

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/linkedrole"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

// A launch's requests are made by package launch, as the server makes them, on a volume and an
// instance that stand for any.
const (
	probeVolume   = "vol-00000000000000000"
	probeInstance = "i-00000000000000000"
	probeKey      = "00000000-0000-0000-0000-000000000000"
)

// request is a request of a launch to the key.
func (l *linter) request(as launch.Actor, call launch.Call, account string) launch.Request {
	key := l.opts.Resource
	if _, ok := parseARN(key); !ok {
		owner := l.owner()
		if owner == "" {
			owner = account
		}
		key = arn.KMSKey(l.keyRegion("us-east-1"), owner, probeKey)
	}
	a, _ := parseARN(key)
	context := map[string]string{launch.ContextKey: probeVolume}
	r := launch.Request{
		Call: call, As: as, KeyARN: key, EncryptionContext: context, SourceKeyARN: key, SourceEncryptionContext: context,
		Account: account, Instance: probeInstance, TargetARN: arn.EC2(a.Region, account, "volume/"+probeVolume), CalledVia: []string{launch.EC2Service},
	}
	if call == launch.CreateGrant {
		r.Purpose = launch.ForAttach
		r.Grant = &launch.Grant{
			Grantee: arn.InfrastructureSession(account, probeInstance), Retiring: launch.ViaService(a.Region),
			Operations: []string{"Decrypt"}, ContextSubset: context, IssuingAccount: account,
		}
	}
	return r
}

// decide decides the parts of a launch's request under the document alone. What neither the
// request nor the principal tells is unknown.
func (l *linter) decide(r launch.Request, p authz.Principal, statements []policy.Statement) []authz.PartDecision {
	doc := authz.Compile(&policy.Document{Version: l.doc.Version, Statements: statements}, l.opts.Kind)
	var out []authz.PartDecision
	for _, part := range r.Parts() {
		req := authz.Request{Principal: p}
		l.unknowns(&req.Context, &part, statements)
		switch l.opts.Kind {
		case policy.Key:
			part.Policy = doc
		case policy.RCP:
			part.RCPs = [][]*authz.Document{{doc}}
			part.Resource.AccountRole = authz.Member
		case policy.SCP:
			req.SCPs = [][]*authz.Document{{doc}}
			req.Principal.AccountRole = authz.Member
		case policy.Session:
			req.Session = []*authz.Document{doc}
		default:
			req.Identity = []*authz.Document{doc}
		}
		req.Parts = []authz.Part{part}
		d := authz.Explain(&req)
		out = append(out, d.Parts[0])
	}
	return out
}

// unknowns makes the keys unknown that the document asks for and a real request would carry, but
// that a probe cannot tell: properties and tags of the key, tags and organization of the principal,
// the time.
func (l *linter) unknowns(ctx *authz.Context, part *authz.Part, statements []policy.Statement) {
	action, ok := l.table.Action(part.Action)
	if !ok {
		return
	}
	for _, s := range statements {
		for _, c := range s.Conditions {
			key := strings.ToLower(c.Key)
			told := slices.ContainsFunc(part.Context, func(e authz.Entry) bool { return strings.EqualFold(e.Key, key) })
			if !told && (l.ofUnknown(key) || carriesAnywhere(action, c.Key) && key != "kms:requestalias") {
				ctx.SetUnknown(key)
			}
		}
	}
}

func (l *linter) ofUnknown(key string) bool {
	for _, prefix := range []string{"aws:principaltag/", "aws:principalorg", "aws:resourceorg", "aws:currenttime", "aws:epochtime", "aws:useragent"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func carriesAnywhere(a *actions.Action, key string) bool {
	fits := func(t string) bool { return actions.Fits(t, key) }
	return slices.ContainsFunc(a.Keys, fits) || slices.ContainsFunc(a.Resources, func(o actions.On) bool { return slices.ContainsFunc(o.Carried(), fits) })
}

// session is a session of a role.
func session(role string) authz.Principal {
	a, _ := parseARN(role)
	name := role[strings.LastIndexByte(role, '/')+1:]
	return authz.Principal{
		Type: authz.RoleSession, ARN: arn.Session(a.Account, name, "probe"), RoleARN: role, Account: a.Account, UserID: "AROAPROBE:probe",
	}
}

// launchRules finds service-linked roles that get a part of what a launch on encrypted volumes
// needs.
//
// Source: EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with encrypted
// volumes": at least two statements.
func (l *linter) launchRules(statements []*statement) {
	seen := map[string]bool{}
	for _, s := range statements {
		if s.Effect != policy.Allow || s.Principal == nil {
			continue
		}
		for _, t := range s.Principal.AWS {
			if !launcher(t.Value) || seen[t.Value] || accountOf(t.Value) != l.ownerOr(accountOf(t.Value)) {
				continue
			}
			seen[t.Value] = true
			if got, missing := l.launchParts(t.Value); len(got) > 0 && len(missing) > 0 {
				l.add("launch-incomplete", s.Statement, t.Pos,
					speech.Say("The policy allows the role %s, but not %s, which launches on volumes under the key need.", listed(got), listed(missing)),
					speech.Say("Allow %s too%s.", listed(missing), grantAdvice(missing)))
			}
		}
	}
}

func (l *linter) ownerOr(other string) string {
	if o := l.owner(); o != "" {
		return o
	}
	return other
}

func grantAdvice(missing []string) speech.Text {
	if slices.Contains(missing, "kms:CreateGrant") {
		return speech.Say(`, kms:CreateGrant with "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}`)
	}
	return speech.Text{}
}

// launcher reports whether a principal is the role of a service that launches instances, with a
// name that such a role can have.
func launcher(principal string) bool {
	return slices.ContainsFunc(launchers, func(service string) bool {
		_, name, ok := strings.Cut(principal, ":role"+arn.ServiceLinkedPath(service))
		role, _ := linkedrole.Of(service)
		return ok && (name == role.Name || role.Suffix && strings.HasPrefix(name, role.Name+"_"))
	})
}

// launchParts are the actions of launches that the key policy allows a role, and those that it
// does not.
func (l *linter) launchParts(role string) (got, missing []string) {
	account := accountOf(role)
	for _, call := range []launch.Call{launch.GenerateDataKey, launch.AuthorizeReEncrypt, launch.CreateGrant} {
		for _, d := range l.decide(l.request(launch.Caller, call, account), session(role), l.doc.Statements) {
			if d.Outcome == authz.Allowed || d.Outcome == authz.Undetermined {
				got = append(got, d.Action)
			} else if d.Outcome == authz.ImplicitDeny {
				missing = append(missing, d.Action)
			}
		}
	}
	return got, missing
}
