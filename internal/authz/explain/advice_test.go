package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

func advise(t *testing.T, req *authz.Request) ([]explain.Fix, []explain.Note) {
	t.Helper()
	d := authz.Explain(req)
	if d.Outcome == authz.Allowed {
		t.Fatal("the request is allowed")
	}
	return explain.Advise(req, d)
}

// Where no permission helps it is said what can, if anything.
func TestNotes(t *testing.T) {
	const deny = `{"Sid":"D","Effect":"Deny","Action":"kms:*","Resource":"*"}`
	allow := compile(t, policy.Identity, "inline", "123456789012", `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)
	member := ana()
	member.AccountRole = authz.Member
	managedKey := func(via authz.Context) *authz.Request {
		req := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
		doc, err := policy.Parse([]byte(policy.EBSManagedKeyPolicy("123456789012", "us-west-2")), policy.Key)
		if err != nil {
			t.Fatal(err)
		}
		req.Parts[0].Policy, req.Parts[0].Resource.AWSManaged, req.Context = authz.Compile(doc, policy.Key), true, via
		return req
	}
	home := onKey(t, ana(), "kms:PutKeyPolicy", "444455556666", strings.ReplaceAll(rootG, "123456789012", "*"))
	home.Identity = []*authz.Document{allow}
	scp := onKey(t, member, "kms:Decrypt", "123456789012", rootG)
	scp.Identity, scp.SCPs = []*authz.Document{allow}, [][]*authz.Document{{compile(t, policy.SCP, "p-guard", "999999999999", deny)}}
	key := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG, `{"Sid":"D","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}`)
	aws := onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)
	aws.Identity = []*authz.Document{allow, compile(t, policy.Identity, "arn:aws:iam::aws:policy/Deny", "", deny)}
	for _, tt := range []struct {
		rule  string
		req   *authz.Request
		text  string
		shows string
		fixes bool
	}{
		{"a key that AWS manages", managedKey(nil), "Nothing can help: the key is one that AWS manages", "", false},
		{"an action on keys of the own account only", home, "Nothing can help: kms:PutKeyPolicy works on keys of the caller's own account only", "", false},
		{"a service control policy of another team", scp, "Only the organization can change that", "999999999999", true},
		{"a deny in the key policy", key, `only changing or removing statement "D" of the key policy`, "123456789012", true},
		{"a deny in a policy of AWS", aws, "AWS manages that policy; it can be detached, not changed", "123456789012", true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			fixes, notes := advise(t, tt.req)
			if tt.shows == "999999999999" { // the limited account learns the kind of policy, as AWS tells it
				mine := explain.VisibleNotes(notes, "123456789012")
				if len(mine) != 1 || strings.Contains(mine[0].Text.String(), "p-guard") || !strings.Contains(mine[0].Text.String(), "a service control policy denies it. Only the organization") {
					t.Errorf("the account sees %+v", mine)
				}
				notes = explain.VisibleNotes(notes, tt.shows)
			}
			if len(notes) != 1 || !strings.Contains(notes[0].Text.String(), tt.text) || notes[0].Shows != tt.shows {
				t.Errorf("notes %+v, want %q", notes, tt.text)
			}
			if (len(fixes) > 0) != tt.fixes {
				t.Errorf("fixes %+v", fixes)
			}
			if slices.ContainsFunc(fixes, func(f explain.Fix) bool { return f.Name == explain.Least && f.Kind == explain.RemoveDeny }) {
				t.Error("removing a deny is called the least")
			}
			if seen := explain.VisibleNotes(notes, "555555555555"); tt.shows != "" && len(seen) > 0 {
				t.Errorf("others see %+v", seen)
			}
		})
	}
	if _, notes := advise(t, onKey(t, ana(), "kms:Decrypt", "123456789012", rootG)); notes != nil {
		t.Errorf("notes though a permission helps: %+v", notes)
	}
}

func TestFixesSayWhatElseTheyOpenAndWhoMakesThem(t *testing.T) {
	p := slr("123456789012", roleG)
	all := fixes(t, onKey(t, p, generate, "123456789012", rootG))
	least, page := named(t, all, explain.Least), named(t, all, explain.Documented)
	cross := fixes(t, onKey(t, slr("111122223333", roleA), generate, "444455556666", p3))
	grant := named(t, cross, explain.Documented)
	user := fixes(t, onKey(t, ana(), "kms:Decrypt", "123456789012", rootG))
	for _, tt := range []struct {
		rule       string
		fix        explain.Fix
		opens, run string
	}{
		{"least statement", least[0], "through ec2.us-west-2.amazonaws.com, for any volume", "kms:PutKeyPolicy on the key in account 123456789012"},
		{"page's statement", page[0], "Also kms:Encrypt, kms:Decrypt, kms:ReEncrypt*", "in Region us-west-2"},
		{"page's grant statement", page[1], "if an AWS service makes them", "kms:PutKeyPolicy"},
		{"page's second statement across accounts", grant[0], "Account 111122223333 decides which of its principals", "in account 444455556666"},
		{"page's grant", grant[1], "The grantee can hand these operations on", "An administrator of account 111122223333"},
		{"least grant", named(t, cross, explain.Least)[0], "Also Decrypt, CreateGrant.", "of account 444455556666 or, if the key policy allows that, of account 111122223333"},
		{"identity policy", user[0], "Any encryption context", "iam:PutUserPolicy in account 123456789012"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := strings.Join(speech.All(speech.English, tt.fix.Opens), " "); !strings.Contains(got, tt.opens) || !strings.Contains(tt.fix.Run.String(), tt.run) {
				t.Errorf("opens %q, run %q", got, tt.fix.Run)
			}
		})
	}
	if user[0].Name != explain.Least || user[1].Name != "" {
		t.Errorf("names %q, %q", user[0].Name, user[1].Name)
	}
}
