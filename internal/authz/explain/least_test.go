package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// A repair is what a set of fixes changes.
type repair struct {
	key      []string // statements of the key policy
	identity []string // of the caller's identity policy
	grants   []authz.Grant
}

func repairOf(t *testing.T, set []explain.Fix) repair {
	t.Helper()
	var r repair
	for _, f := range set {
		switch f.Kind {
		case explain.KeyPolicy:
			r.key = append(r.key, f.Document)
		case explain.IdentityPolicy:
			r.identity = append(r.identity, f.Document)
		case explain.Grant:
			r.grants = append(r.grants, *f.Grant)
		default:
			t.Fatalf("the least fix is of kind %s", f.Kind)
		}
	}
	return r
}

// request is one that is decided with the repair; mine says that its caller is the one it was for.
func (r *repair) request(t *testing.T, p authz.Principal, mine bool, action, account string, statements []string) *authz.Request {
	t.Helper()
	req := onKey(t, p, action, account, slices.Concat(statements, r.key)...)
	if mine && len(r.identity) > 0 {
		req.Identity = []*authz.Document{compile(t, policy.Identity, "new", p.Account, r.identity...)}
	}
	req.Parts[0].Grants = r.grants
	return req
}

// The least fix, of whatever kind, allows its request and the launch that it is part of, and changes
// no decision about other principals or actions.
func TestTheLeastFixChangesNothingElse(t *testing.T) {
	principals := []authz.Principal{ana(), slr("123456789012", roleG), slr("111122223333", roleA), {
		Type: authz.RoleSession, ARN: "arn:aws:sts::123456789012:assumed-role/deployer/one", RoleARN: "arn:aws:iam::123456789012:role/deployer",
		Account: "123456789012", UniqueID: "AROABBBBBBBBBBBBBBBBB",
	}, {
		Type: authz.User, ARN: "arn:aws:iam::111122223333:user/bo", Account: "111122223333", Username: "bo", UniqueID: "AIDACCCCCCCCCCCCCCCCC",
	}, {Type: authz.Root, ARN: "arn:aws:iam::123456789012:root", Account: "123456789012"}}
	actions := []string{
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", generate, "kms:CreateGrant", "kms:DescribeKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion",
	}
	policies := [][]string{{rootG}, {p1}, {p3, p4}, {p2}, {rootG, p1}}
	tried := map[string]int{}
	for _, statements := range policies {
		for i := range principals {
			for _, action := range actions {
				req := onKey(t, principals[i], action, "123456789012", statements...)
				d := authz.Explain(req)
				if d.Outcome == authz.Allowed {
					continue
				}
				all := explain.Fixes(req, d)
				if !slices.ContainsFunc(all, func(f explain.Fix) bool { return f.Name == explain.Least }) {
					continue
				}
				least := named(t, all, explain.Least)
				tried[kinds(least)[len(kinds(least))-1]]++
				r, none := repairOf(t, least), repair{}
				wantAllowedWith(t, r.request(t, principals[i], true, action, "123456789012", statements))
				for j := range principals {
					for _, other := range actions {
						if j == i && (other == action || principals[i].IsServiceLinked() && ofLaunch(&r, other)) {
							continue // what it is for
						}
						if len(r.key) > 0 && principals[i].Account != "123456789012" && principals[j].Account == principals[i].Account && other == action {
							continue // the account is let in
						}
						before := authz.Decide(none.request(t, principals[j], j == i, other, "123456789012", statements)).Outcome
						after := authz.Decide(r.request(t, principals[j], j == i, other, "123456789012", statements)).Outcome
						if before != after {
							t.Errorf("%s for %s made %s for %s %v instead of %v\n%+v", action, principals[i].ARN, other, principals[j].ARN, after, before, least)
						}
					}
				}
			}
		}
	}
	for _, kind := range []string{explain.KeyPolicy, explain.IdentityPolicy, explain.Grant} {
		if tried[kind] < 5 {
			t.Errorf("fixes tried: %v", tried)
		}
	}
}

// ofLaunch reports whether a repair is for an action too, as part of a launch.
func ofLaunch(r *repair, action string) bool {
	return slices.ContainsFunc(r.key, func(st string) bool { return strings.Contains(st, `"`+action+`"`) }) ||
		slices.ContainsFunc(r.grants, func(g authz.Grant) bool { return slices.Contains(g.Operations, strings.TrimPrefix(action, "kms:")) })
}
