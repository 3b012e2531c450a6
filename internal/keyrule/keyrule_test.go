package keyrule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/keyrule"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	id      = "1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c4d"
	keyARN  = "arn:aws:kms:" + region + ":" + account + ":key/" + id
)

func key(state string) *keyrule.Key {
	return &keyrule.Key{Region: region, Account: account, ID: id, Spec: "SYMMETRIC_DEFAULT", Usage: "ENCRYPT_DECRYPT", Origin: "AWS_KMS", State: state}
}

// TestStates: what a launch does in each state of a key.
func TestStates(t *testing.T) {
	tests := []struct{ state, use, grant, read string }{
		{"Enabled", "", "", ""},
		{"Disabled", "DisabledException", "DisabledException", ""},
		{"PendingDeletion", "KMSInvalidStateException", "KMSInvalidStateException", ""},
		{"PendingImport", "KMSInvalidStateException", "KMSInvalidStateException", ""},
		{"Unavailable", "KMSInvalidStateException", "", ""},
		{"NoSuchState", "KMSInvalidStateException", "KMSInvalidStateException", "KMSInvalidStateException"},
	}
	for _, tt := range tests {
		k := key(tt.state)
		for op, want := range map[keyrule.Operation]string{keyrule.Use: tt.use, keyrule.CreateGrant: tt.grant, keyrule.Read: tt.read} {
			err := op.Check(k)
			if got := apierr.Code(err); got != want {
				t.Errorf("operation %d in state %s: %q, want %q", op, tt.state, got, want)
			}
			if err != nil && !strings.Contains(err.Error(), keyARN) {
				t.Errorf("%v does not name the key", err)
			}
		}
	}
}

func TestKindsOfKeys(t *testing.T) {
	rsa := key("Enabled")
	rsa.Spec = "RSA_2048"
	if got := apierr.Code(rsa.CheckEncrypts("GenerateDataKey")); got != "InvalidKeyUsageException" {
		t.Errorf("an RSA key generates data keys: %q", got)
	}
	rsa.Usage = "SIGN_VERIFY"
	if err := rsa.CheckUse("Sign", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"); err != nil {
		t.Errorf("an RSA key does not sign: %v", err)
	}
	if _, known := keyrule.Algorithms("NONE", "SIGN_VERIFY"); known {
		t.Error("a spec that does not exist is known")
	}
	g := keyrule.Grant{Grantee: "arn:aws:iam::" + account + ":role/app", Operations: []string{"Sign", "DescribeKey"}}
	if err := g.CheckOn(rsa); err != nil {
		t.Error(err)
	}
	if g.Operations = []string{"Decrypt"}; apierr.Code(g.CheckOn(rsa)) != "ValidationException" {
		t.Error("a grant lets a signing key decrypt")
	}
	if g.Operations, g.Subset = []string{"Sign"}, map[string]string{"a": "b"}; apierr.Code(g.CheckOn(rsa)) != "ValidationException" {
		t.Error("a grant on a signing key has an encryption context")
	}
}

func TestTermsOfGrants(t *testing.T) {
	good := keyrule.Grant{Grantee: "arn:aws:iam::" + account + ":role/app", Operations: []string{"Decrypt"}}
	if err := good.CheckTerms(); err != nil {
		t.Error(err)
	}
	big := map[string]string{}
	for name := range strings.SplitSeq("abcdefghi", "") {
		big[name] = "x"
	}
	bad := map[string]func(*keyrule.Grant){
		"no operations":            func(g *keyrule.Grant) { g.Operations = nil },
		"no grantee":               func(g *keyrule.Grant) { g.Grantee = "" },
		"two constraints":          func(g *keyrule.Grant) { g.Equals, g.Subset = map[string]string{"a": "b"}, map[string]string{"a": "b"} },
		"nine pairs":               func(g *keyrule.Grant) { g.Subset = big },
		"a long value":             func(g *keyrule.Grant) { g.Equals = map[string]string{"a": strings.Repeat("x", 385)} },
		"a service without source": func(g *keyrule.Grant) { g.Grantee, g.GranteeService = "ebs.amazonaws.com", true },
	}
	for name, spoil := range bad {
		g := good
		spoil(&g)
		if got := apierr.Code(g.CheckTerms()); got != "ValidationException" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := keyrule.InGrantOrder([]string{"CreateGrant", "Decrypt", "CreateGrant"}); !slices.Equal(got, []string{"Decrypt", "CreateGrant"}) {
		t.Errorf("order %v", got)
	}
}

func TestPrincipals(t *testing.T) {
	broken := errors.New("broken")
	find := func(who string) (string, bool, error) {
		switch {
		case strings.HasSuffix(who, "/app"):
			return "AROAEXAMPLE", true, nil
		case strings.HasSuffix(who, ":root"):
			return "", true, nil
		case strings.HasSuffix(who, "/broken"):
			return "", false, broken
		}
		return "", false, nil
	}
	const role = "arn:aws:iam::" + account + ":role/"
	if got, err := keyrule.Principal(role+"app", find); got != "AROAEXAMPLE" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := keyrule.Principal("ec2.eu-west-1.amazonaws.com", find); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, who := range []string{role + "gone", role + "gone.amazonaws.com", "ec2.example.com", "app", "arn:aws:iam::" + account + ":group/g"} {
		if _, err := keyrule.Principal(who, find); apierr.Code(err) != "InvalidArnException" {
			t.Errorf("%s: %v", who, err)
		}
	}
	ids, err := keyrule.PolicyPrincipals([]string{role + "app", "arn:aws:iam::" + account + ":root"}, find)
	if err != nil || len(ids) != 1 || ids[role+"app"] != "AROAEXAMPLE" {
		t.Errorf("%v, %v", ids, err)
	}
	if _, err := keyrule.PolicyPrincipals([]string{role + "gone"}, find); apierr.Code(err) != "MalformedPolicyDocumentException" {
		t.Error(err)
	}
	if _, err := keyrule.PolicyPrincipals([]string{role + "broken"}, find); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestIdentifiers(t *testing.T) {
	tests := []struct {
		given string
		want  keyrule.Identifier
		code  string
	}{
		{id, keyrule.Identifier{Account: account, ID: id}, ""},
		{keyARN, keyrule.Identifier{Account: account, ID: id}, ""},
		{"alias/app", keyrule.Identifier{Account: account, Alias: "alias/app"}, ""},
		{"arn:aws:kms:eu-west-1:444455556666:alias/app", keyrule.Identifier{Account: "444455556666", Alias: "alias/app"}, ""},
		{"mrk-" + strings.Repeat("a", 32), keyrule.Identifier{Account: account, ID: "mrk-" + strings.Repeat("a", 32)}, ""},
		{"arn:aws:kms:us-east-1:" + account + ":key/" + id, keyrule.Identifier{}, "NotFoundException"},
		{"nonsense", keyrule.Identifier{}, "NotFoundException"},
		{"arn:aws:s3:::bucket", keyrule.Identifier{}, "InvalidArnException"},
		{"arn:aws:kms:eu-west-1:" + account + ":store/x", keyrule.Identifier{}, "InvalidArnException"},
	}
	for _, tt := range tests {
		got, err := keyrule.Identify(tt.given, region, account)
		if got != tt.want || apierr.Code(err) != tt.code {
			t.Errorf("%s: %+v, %v", tt.given, got, err)
		}
	}
}

// TestConditionKeys: what a key and a grant bring into a decision.
func TestConditionKeys(t *testing.T) {
	k := key("Enabled")
	k.Aliases = []string{"alias/app"}
	got := map[string]authz.Value{}
	for _, e := range k.Context() {
		got[e.Key] = e.Value
	}
	if got["kms:keyspec"].One != "SYMMETRIC_DEFAULT" || got["kms:keyusage"].One != "ENCRYPT_DECRYPT" || got["kms:multiregion"].One != "false" || !slices.Equal(got["kms:resourcealiases"].List, k.Aliases) {
		t.Errorf("the key has %v", got)
	}
	g := keyrule.Grant{Grantee: "ebs.amazonaws.com", GranteeService: true, Retiring: "ec2.eu-west-1.amazonaws.com", Operations: []string{"Decrypt"},
		Subset: map[string]string{"aws:ebs:id": "vol-1"}, SourceARN: "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"}
	var p authz.Part
	g.Describe(&p, true)
	clear(got)
	for _, e := range p.Context {
		got[e.Key] = e.Value
	}
	for name, want := range map[string]string{
		"kms:grantisforawsresource": "true", "kms:granteeserviceprincipal": "ebs.amazonaws.com", "kms:retiringprincipal": "ec2.eu-west-1.amazonaws.com",
		"kms:grantconstrainttype": "EncryptionContextSubset", "kms:grantconstraintsourcearn": g.SourceARN, "kms:encryptioncontext:aws:ebs:id": "vol-1",
	} {
		if got[name].One != want {
			t.Errorf("%s is %q, want %q", name, got[name].One, want)
		}
	}
	if p.EncryptionContext["aws:ebs:id"] != "vol-1" {
		t.Errorf("the context is %v", p.EncryptionContext)
	}
	bypass := k.CreatePart(new(true))
	if bypass.Action != "kms:CreateKey" || bypass.Resource.ARN != "*" {
		t.Errorf("CreateKey is %+v", bypass)
	}
}
