package policy_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/policy"
)

const everything = `{
 "Statement": [
  {"Effect": "Allow", "Sid": "a\"<b", "Principal": {"Service": ["s"], "AWS": ["x", "*"], "CanonicalUser": "c", "Federated": "f"},
   "Condition": {"Bool": {"k": true, "l": []}, "NumericLessThan": {"n": [1, 2.0]}}, "NotAction": ["a:b"], "Resource": ["r", "s"]},
  {"NotPrincipal": "*", "Effect": "Deny", "Action": "c:d", "NotResource": "*"}
 ],
 "Id": "i", "Version": "2012-10-17"
}`

func TestPrint(t *testing.T) {
	d, err := policy.Parse([]byte(everything), policy.Resource)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Version":"2012-10-17","Id":"i","Statement":[` +
		`{"Sid":"a\"<b","Effect":"Allow","Principal":{"AWS":["*","x"],"Service":"s","Federated":"f","CanonicalUser":"c"},` +
		`"NotAction":"a:b","Resource":["r","s"],"Condition":{"Bool":{"k":"true","l":[]},"NumericLessThan":{"n":["1","2.0"]}}},` +
		`{"Effect":"Deny","NotPrincipal":"*","Action":"c:d","NotResource":"*"}]}`
	if diff := cmp.Diff(want, string(d.Print())); diff != "" {
		t.Errorf("Print (-want +got):\n%s", diff)
	}
}

func TestPrintHandMade(t *testing.T) {
	d := &policy.Document{Statements: []policy.Statement{{
		Sid: "\xff", Effect: policy.Allow, Principal: &policy.Principals{},
		Conditions: []policy.Condition{
			{Operator: "Bool", Key: "a", Values: values("true")},
			{Operator: "Null", Key: "b", Values: values("true")},
			{Operator: "Bool", Key: "c"},
		},
	}}}
	want := "{\"Statement\":[{\"Sid\":\"\uFFFD\",\"Effect\":\"Allow\",\"Principal\":{}," +
		`"Condition":{"Bool":{"a":"true","c":[]},"Null":{"b":"true"}}}]}`
	if got := string(d.Print()); got != want {
		t.Errorf("Print = %s\nwant    %s", got, want)
	}
}

func TestPretty(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"empty object", `{}`, `{ }`},
		{"empty list", `[ ]`, `[ ]`},
		{"scalars keep their text", `[1.50,"\u0041",true]`, `[ 1.50, "\u0041", true ]`},
		{"lists add no indent", `{"a":[{"b":1},{"c":{"d":[]}}],"e":"x"}`,
			"{\n  \"a\" : [ {\n    \"b\" : 1\n  }, {\n    \"c\" : {\n      \"d\" : [ ]\n    }\n  } ],\n  \"e\" : \"x\"\n}"},
		{"not JSON", `{"a":}`, `{"a":}`},
		{"list cut short", `[1,`, `[1,`},
		{"name twice", `{"a":1,"a":2}`, `{"a":1,"a":2}`},
		{"two values", `1 2`, `1 2`},
		{"empty", ``, ``},
		{"too deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), strings.Repeat("[", 40) + strings.Repeat("]", 40)},
		{"too long", strings.Repeat(" ", policy.MaxSize) + "1", strings.Repeat(" ", policy.MaxSize) + "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(policy.Pretty([]byte(tt.src))); got != tt.want {
				t.Errorf("Pretty(%.80q) =\n%.300s\nwant\n%.300s", tt.src, got, tt.want)
			}
		})
	}
}

func TestDefaultKeyPolicy(t *testing.T) {
	want := `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::111122223333:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
	if diff := cmp.Diff(want, policy.DefaultKeyPolicy("111122223333")); diff != "" {
		t.Errorf("default policy (-want +got):\n%s", diff)
	}
}

func TestEBSManagedKeyPolicy(t *testing.T) {
	want := `{
  "Version" : "2012-10-17",
  "Id" : "auto-ebs-2",
  "Statement" : [ {
    "Sid" : "Allow access through EBS for all principals in the account that are authorized to use EBS",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "111122223333",
        "kms:ViaService" : "ec2.us-west-2.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::111122223333:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`
	if diff := cmp.Diff(want, policy.EBSManagedKeyPolicy("111122223333", "us-west-2")); diff != "" {
		t.Errorf("policy of aws/ebs (-want +got):\n%s", diff)
	}
}

const (
	role  = "arn:aws:iam::111122223333:role/r"
	other = "arn:aws:iam::111122223333:role/other"
)

func TestReplacePrincipals(t *testing.T) {
	replace := map[string]string{role: "AROAABCDEFGHIJKLMNOP", "q": `a"b`, "*": "never"}
	tests := []struct{ name, src, want string }{
		{
			"only principals, every other byte stays",
			"{ \"Id\":\"" + role + "\",\n\t\"Statement\" : [{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"" + role + "\",\"AWS\":[\"" + role + "\" ,\"" + other + "\"]},\r\n" +
				"\"Resource\":\"" + role + "\"},{\"NotPrincipal\" : {\"AWS\":\"" + role + "\"},\"Effect\":\"Deny\",\"Action\":\"鍵\"}]}\n",
			"{ \"Id\":\"" + role + "\",\n\t\"Statement\" : [{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"" + role + "\",\"AWS\":[\"AROAABCDEFGHIJKLMNOP\" ,\"" + other + "\"]},\r\n" +
				"\"Resource\":\"" + role + "\"},{\"NotPrincipal\" : {\"AWS\":\"AROAABCDEFGHIJKLMNOP\"},\"Effect\":\"Deny\",\"Action\":\"鍵\"}]}\n",
		},
		{"escapes in and out", statement(`"Principal":{"AWS":["\u0071","*"]}`), statement(`"Principal":{"AWS":["a\"b","*"]}`)},
		{"nothing to replace", statement(`"Principal":"*"`), statement(`"Principal":"*"`)},
		{"trust policy with a later breach", `{"Statement":{"Effect":"allow","Principal":{"AWS":"q"}}}`, `{"Statement":{"Effect":"allow","Principal":{"AWS":"a\"b"}}}`},
		{"not a policy", `{"AWS":"q"}`, `{"AWS":"q"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := []byte(tt.src)
			got := policy.ReplacePrincipals(src, replace)
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			src[0] = 'x'
			if got[0] != tt.want[0] {
				t.Error("result shares memory with its input")
			}
		})
	}
}

func TestPrincipals(t *testing.T) {
	d, err := policy.Parse([]byte(`{"Statement":[
		{"Effect":"Allow","Principal":{"Federated":"f","CanonicalUser":"c","Service":"s","AWS":["*","111122223333","`+role+`"]}},
		{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::111122223333:root","`+other+`","`+role+`","AIDAABCDEFGHIJKLMNOP"]}},
		{"Effect":"Deny"}]}`), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{role, other, "AIDAABCDEFGHIJKLMNOP"}, d.PrincipalARNs()); diff != "" {
		t.Errorf("PrincipalARNs (-want +got):\n%s", diff)
	}
	var got []string
	for kind, text := range d.Statements[0].Principal.All() {
		got = append(got, string(kind)+"="+text.Value)
	}
	if diff := cmp.Diff([]string{"AWS=111122223333", "AWS=" + role, "Service=s", "Federated=f", "CanonicalUser=c"}, got); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	for range d.Statements[0].Principal.All() {
		break // must not go on after the loop has ended
	}
	for range d.Statements[2].Principal.All() {
		t.Error("a missing element yields principals")
	}
	empty := []bool{d.Statements[0].Principal.Empty(), d.Statements[2].Principal.Empty(),
		(&policy.Principals{}).Empty(), (&policy.Principals{Any: true}).Empty()}
	if want := []bool{false, true, true, false}; !slices.Equal(empty, want) {
		t.Errorf("Empty = %v, want %v", empty, want)
	}
}

func TestIsAccountPrincipal(t *testing.T) {
	tests := []struct {
		in, account string
	}{
		{"111122223333", "111122223333"},
		{"arn:aws:iam::111122223333:root", "111122223333"},
		{"11112222333", ""},
		{"arn:aws:iam::111122223333:user/root", ""},
		{"arn:aws:sts::111122223333:root", ""},
		{"arn:aws-cn:iam::111122223333:root", ""},
		{"arn:aws:iam:r:111122223333:root", ""},
		{"arn:aws:iam::x:root", ""},
		{"*", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if account, ok := policy.IsAccountPrincipal(tt.in); account != tt.account || ok != (tt.account != "") {
			t.Errorf("IsAccountPrincipal(%q) = %q, %v", tt.in, account, ok)
		}
	}
}

func TestIsUniqueID(t *testing.T) {
	for id, want := range map[string]bool{
		"AROAABCDEFGHIJKLMNOP": true, "AIDA0123456789ABCDEF": true,
		"AROA": false, "AROAabcdefghijklmnop": false, "AKIAABCDEFGHIJKLMNOP": false, "": false,
		"AROA" + strings.Repeat("A", 125): false,
	} {
		if policy.IsUniqueID(id) != want {
			t.Errorf("IsUniqueID(%q) is not %v", id, want)
		}
	}
}

// FuzzParse: what parses prints, and what is printed or laid out says the same. Positions lie in
// the source and cover what they name. No check panics.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		everything,
		policy.DefaultKeyPolicy("111122223333"),
		policy.EBSManagedKeyPolicy("111122223333", "us-west-2"),
		statement(`"Action":[],"Resource":[null,"*"],"Principal":{}`),
		statement(`"Sid":"\ud83d\ude00","Condition":{"Null":{"":""}}`),
		`{"Statement":[{}]}`, "{\"Id\":\"\xff\"}",
		identity(`"Action":"a:b","Resource":"arn:aws:iam:${a:b}:c","Condition":{"DateEquals":{"k":"2019-07-01T1"}}`),
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, check := range []func([]byte) (*policy.Document, error){
			policy.CheckIdentity, policy.CheckSession, policy.CheckTrust, policy.CheckKey,
		} {
			if d, err := check(src); (d == nil) == (err == nil) {
				t.Fatalf("check = %v, %v", d, err)
			}
		}
		d, err := policy.Parse(src, policy.Resource)
		if err != nil {
			if got := policy.ReplacePrincipals(src, nil); !bytes.Equal(got, src) {
				t.Fatalf("ReplacePrincipals changed %q to %q", src, got)
			}
			return
		}
		for _, s := range d.Statements {
			if text := src[s.Pos.Start:s.Pos.End]; text[0] != '{' || text[len(text)-1] != '}' || s.Pos.Line < 1 {
				t.Fatalf("statement at %+v is %q", s.Pos, text)
			}
			for _, a := range s.Actions {
				if text := src[a.Pos.Start:a.Pos.End]; text[0] != '"' || text[len(text)-1] != '"' {
					t.Fatalf("action %q at %+v is %q", a.Value, a.Pos, text)
				}
			}
		}
		for _, text := range [][]byte{d.Print(), policy.Pretty(src), policy.ReplacePrincipals(src, map[string]string{"x": "x"})} {
			again, err := policy.Parse(text, policy.Resource)
			if err != nil {
				if len(text) > policy.MaxSize {
					continue // escapes and numbers can grow
				}
				t.Fatalf("%q parses, its other form %q does not: %v", src, text, err)
			}
			if diff := cmp.Diff(d, again, ignorePlaces); diff != "" {
				t.Fatalf("%q and %q differ:\n%s", src, text, diff)
			}
		}
	})
}
