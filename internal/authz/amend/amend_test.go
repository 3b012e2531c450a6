package amend_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/amend"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/speech"
)

const (
	account = "111122223333"
	keyARN  = "arn:aws:kms:us-west-2:" + account + ":key/1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c01"
	linked  = "arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	before  = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:Describe*","Resource":"*"}`
)

func role(arn string) authz.Principal {
	return authz.Principal{
		Type: authz.RoleSession, Account: account, RoleARN: arn, UniqueID: "AROANEWNEWNEWNEWNEWN1",
		ARN: "arn:aws:sts::" + account + ":assumed-role" + arn[strings.LastIndexByte(arn, '/'):] + "/one",
	}
}

// refused decides a request of the role under a policy of two statements, of which the second is given.
func refused(t *testing.T, p authz.Principal, action, statement string, context map[string]string) (*authz.Request, authz.PartDecision) {
	t.Helper()
	parsed, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+before+`,`+statement+`]}`), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	doc := authz.Compile(parsed, policy.Key)
	doc.Name, doc.Owner = keyARN, account
	part := authz.Part{Action: action, Resource: authz.Resource{ARN: keyARN, Account: account}, Policy: doc, Authoritative: true}
	for k, v := range context {
		part.Context.Set(strings.ToLower(k), v)
	}
	part.Context.SetList("kms:resourcealiases", []string{"alias/web"})
	req := &authz.Request{Principal: p, Parts: []authz.Part{part}}
	d := authz.Explain(req)
	if d.Outcome == authz.Allowed {
		t.Fatalf("%s is allowed", action)
	}
	return req, d.Parts[0]
}

// made is a statement with an amendment's edits made.
func made(t *testing.T, statement string, a amend.Amendment) string {
	t.Helper()
	text := []byte(statement)
	for _, e := range a.Edits {
		if e.Path == "" {
			return ""
		}
		value, err := json.Marshal(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = jsonedit.Apply(text, e.Op, e.Path, value); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(text), ": ", ":"), ", ", ",")
}

func TestCorrections(t *testing.T) {
	const generate, reencrypt = "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"
	via := map[string]string{"kms:ViaService": "ec2.us-west-2.amazonaws.com", "kms:CallerAccount": account}
	statement := func(who, action, more string) string {
		return `{"Effect":"Allow","Principal":{"AWS":` + who + `},"Action":` + action + `,"Resource":"*"` + more + `}`
	}
	quoted := func(s string) string { return `"` + s + `"` }
	tests := []struct {
		name, action, have, want string // want is "" if nothing can be corrected
	}{
		{"an action without its star", reencrypt, statement(quoted(linked), `["kms:Decrypt","kms:ReEncrypt"]`, ""), statement(quoted(linked), `["kms:Decrypt","kms:ReEncrypt*"]`, "")},
		{"a misspelt action", reencrypt, statement(quoted(linked), `"kms:ReEncyptFrom"`, ""), statement(quoted(linked), `"kms:ReEncryptFrom"`, "")},
		{"an action that is another's", reencrypt, statement(quoted(linked), `"kms:Decrypt"`, ""), ""},
		{"the service in another Region", generate, statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:ViaService":"ec2.us-east-1.amazonaws.com"}}`),
			statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:ViaService":"ec2.us-west-2.amazonaws.com"}}`)},
		{"another service keeps its use", generate, statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:ViaService":"s3.us-west-2.amazonaws.com"}}`),
			statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:ViaService":["s3.us-west-2.amazonaws.com","ec2.us-west-2.amazonaws.com"]}}`)},
		{"an account with two digits swapped", generate, statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:CallerAccount":"111122233333"}}`),
			statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"}}`)},
		{"a condition that the request can have otherwise", generate, statement(quoted(linked), `"kms:*"`, `,"Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}`), ""},
		{"a role without its path", generate, statement(quoted("arn:aws:iam::"+account+":role/AWSServiceRoleForAutoScaling"), `"kms:*"`, ""), statement(quoted(linked), `"kms:*"`, "")},
		{"the service in the place of its role", generate, `{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"kms:*","Resource":"*"}`, statement(quoted(linked), `"kms:*"`, "")},
		{"the id of a deleted role", generate, statement(`["AROAOLDOLDOLDOLDOLD01","arn:aws:iam::111122223333:role/other"]`, `"kms:*"`, ""),
			statement(`["`+linked+`","arn:aws:iam::111122223333:role/other"]`, `"kms:*"`, "")},
		{"the id of a deleted user", generate, statement(quoted("AIDAOLDOLDOLDOLDOLD01"), `"kms:*"`, ""), ""},
		{"another role", generate, statement(quoted("arn:aws:iam::"+account+":role/other"), `"kms:*"`, ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, part := refused(t, role(linked), tt.action, tt.have, via)
			var got []string
			for _, m := range part.Missed {
				if st, ok := amend.Find(req.Parts[0].Policy, &m.Match, speech.Raw("it")); ok {
					for _, a := range amend.Corrections(st, &m, &req.Parts[0], &req.Principal) {
						if st.Path != "/Statement/1" || a.Kind != amend.Correct || !strings.Contains(a.Summary.String(), "it") {
							t.Errorf("at %s: %+v", st.Path, a)
						}
						got = append(got, made(t, tt.have, a))
					}
				}
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNarrowings(t *testing.T) {
	const deny = `{"Effect":"Deny","Principal":"*","Action":`
	forwarded := map[string]string{"aws:ViaAWSService": "true", "kms:GrantIsForAWSResource": "true", "kms:ViaService": "ec2.us-west-2.amazonaws.com"}
	tests := []struct {
		name, action, have, first string
		ways                      int
	}{
		{"grants, of a deny of grants", "kms:CreateGrant", deny + `"kms:CreateGrant","Resource":"*"}`,
			deny + `"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"false"}}}`, 4},
		{"what services ask, of a deny of everything", "kms:CreateGrant", deny + `"kms:*","Resource":"*"}`,
			deny + `"kms:*","Resource":"*","Condition":{"BoolIfExists":{"aws:ViaAWSService":"false"}}}`, 4},
		{"the service that a list lacks", "kms:CreateGrant", deny + `"kms:*","Resource":"*","Condition":{"StringNotEquals":{"kms:ViaService":"s3.us-west-2.amazonaws.com"}}}`,
			deny + `"kms:*","Resource":"*","Condition":{"StringNotEquals":{"kms:ViaService":["s3.us-west-2.amazonaws.com","ec2.us-west-2.amazonaws.com"]}}}`, 5},
		{"the role that a list lacks", "kms:CreateGrant", deny + `"kms:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/a"]}}}`,
			deny + `"kms:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/a","` + linked + `"]}}}`, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, part := refused(t, role(linked), tt.action, tt.have, forwarded)
			for _, m := range part.Matched {
				st, ok := amend.Find(req.Parts[0].Policy, &m, speech.Raw("it"))
				if !ok || m.Effect != policy.Deny {
					continue
				}
				all := amend.Narrowings(st, &req.Parts[0], &req.Principal)
				if len(all) != tt.ways || made(t, tt.have, all[len(all)-1]) != "" {
					t.Fatalf("%d ways: %+v", len(all), all)
				}
				if diff := cmp.Diff(tt.first, made(t, tt.have, all[0])); diff != "" {
					t.Error(diff)
				}
				return
			}
			t.Error("nothing denies")
		})
	}
}

// TestAliasAsResource: an identity policy that names an alias of the key gets the key's ARN.
func TestAliasAsResource(t *testing.T) {
	for alias, want := range map[string]string{"web": keyARN, "other": ""} {
		parsed, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-west-2:`+account+`:alias/`+alias+`"}}`), policy.Identity)
		if err != nil {
			t.Fatal(err)
		}
		req, _ := refused(t, role("arn:aws:iam::"+account+":role/app"), "kms:Decrypt", before, nil)
		doc := authz.Compile(parsed, policy.Identity)
		doc.Name, doc.Owner = "inline", account
		req.Identity = []*authz.Document{doc}
		got := ""
		for _, m := range authz.Explain(req).Parts[0].Missed {
			if st, ok := amend.Find(doc, &m.Match, speech.Raw("it")); ok {
				for _, a := range amend.Corrections(st, &m, &req.Parts[0], &req.Principal) {
					if a.Edits[0].Path != "/Resource" || st.Path != "/Statement" || !st.Alone {
						t.Errorf("%+v of %+v", a.Edits[0], st)
					}
					got, _ = a.Edits[0].Value.(string)
				}
			}
		}
		if got != want {
			t.Errorf("alias %s: %q, want %q", alias, got, want)
		}
	}
}
