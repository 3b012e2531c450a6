package wire_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
)

const (
	grantOps = "[Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify, GetPublicKey, CreateGrant, RetireGrant, DescribeKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateMac, VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate]"
	one      = "1 validation error detected: "
	failed   = " failed to satisfy constraint: "
)

func TestValidationTexts(t *testing.T) {
	long := strings.Repeat("é", 2049)
	for _, tt := range []struct {
		name string
		svc  *api.Service
		in   any
		want string
	}{
		{"valid", kmsapi.Service(), &kmsapi.EncryptRequest{KeyId: new("k"), Plaintext: []byte("x")}, ""},
		{"required", kmsapi.Service(), &kmsapi.DescribeKeyRequest{},
			one + "Value null at 'keyId'" + failed + "Member must not be null"},
		{"too short", kmsapi.Service(), &kmsapi.DescribeKeyRequest{KeyId: new("")},
			one + "Value '' at 'keyId'" + failed + "Member must have length greater than or equal to 1"},
		{"too long counts characters, the echo is cut", kmsapi.Service(), &kmsapi.DescribeKeyRequest{KeyId: &long},
			one + "Value '" + strings.Repeat("é", 512) + "...' at 'keyId'" + failed + "Member must have length less than or equal to 2048"},
		{"number too small", kmsapi.Service(), &kmsapi.GenerateDataKeyRequest{KeyId: new("k"), NumberOfBytes: new(int32(0))},
			one + "Value '0' at 'numberOfBytes'" + failed + "Member must have value greater than or equal to 1"},
		{"number too big", kmsapi.Service(), &kmsapi.GenerateDataKeyRequest{KeyId: new("k"), NumberOfBytes: new(int32(1025))},
			one + "Value '1025' at 'numberOfBytes'" + failed + "Member must have value less than or equal to 1024"},
		{"enum", kmsapi.Service(), &kmsapi.GenerateDataKeyRequest{KeyId: new("k"), KeySpec: new("AES_512")},
			one + "Value 'AES_512' at 'keySpec'" + failed + "Member must satisfy enum value set: [AES_256, AES_128]"},
		{"sensitive blob", kmsapi.Service(), &kmsapi.EncryptRequest{KeyId: new("k"), Plaintext: make([]byte, 4097)},
			one + "Value at 'plaintext'" + failed + "Member must have length less than or equal to 4096"},
		{"blob", kmsapi.Service(), &kmsapi.DecryptRequest{CiphertextBlob: []byte{}},
			one + "Value at 'ciphertextBlob'" + failed + "Member must have length greater than or equal to 1"},
		{"pattern", kmsapi.Service(), &kmsapi.DeleteAliasRequest{AliasName: new("alias/a b")},
			one + "Value 'alias/a b' at 'aliasName'" + failed + "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"},
		{"length and pattern", kmsapi.Service(), &kmsapi.DeleteAliasRequest{AliasName: new("")},
			"2 validation errors detected: Value '' at 'aliasName'" + failed + "Member must have length greater than or equal to 1; " +
				"Value '' at 'aliasName'" + failed + "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"},
		{"element of a list", kmsapi.Service(), &kmsapi.CreateGrantRequest{KeyId: new("k"), GranteePrincipal: new("p"), Operations: []string{"Decrypt", "X"}},
			one + "Value '[Decrypt, X]' at 'operations'" + failed + "Member must satisfy constraint: [Member must satisfy enum value set: " + grantOps + "]"},
		{"element names all constraints", kmsapi.Service(), &kmsapi.DecryptRequest{CiphertextBlob: []byte("x"), GrantTokens: []string{""}},
			one + "Value '[]' at 'grantTokens'" + failed + "Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]"},
		{"list too long", kmsapi.Service(), &kmsapi.DecryptRequest{CiphertextBlob: []byte("x"), GrantTokens: strings.Split("a,b,c,d,e,f,g,h,i,j,k", ",")},
			one + "Value '[a, b, c, d, e, f, g, h, i, j, k]' at 'grantTokens'" + failed + "Member must have length less than or equal to 10"},
		{"member of a list of structures", kmsapi.Service(), &kmsapi.TagResourceRequest{KeyId: new("k"), Tags: []kmsapi.Tag{{TagKey: new(""), TagValue: new("v")}, {TagKey: new("k")}}},
			"2 validation errors detected: Value '' at 'tags.1.member.tagKey'" + failed + "Member must have length greater than or equal to 1; " +
				"Value null at 'tags.2.member.tagValue'" + failed + "Member must not be null"},
		{"query services use the same text", iamapi.Service(), &iamapi.GetRoleRequest{RoleName: new(strings.Repeat("a", 65))},
			one + "Value '" + strings.Repeat("a", 65) + "' at 'roleName'" + failed + "Member must have length less than or equal to 64"},
		{"iam name", iamapi.Service(), &iamapi.GetRoleRequest{RoleName: new("a/b")},
			"The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"},
		{"iam path", iamapi.Service(), &iamapi.CreateUserRequest{UserName: new("u"), Path: new("x")},
			"The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."},
		{"iam path of a policy", iamapi.Service(), &iamapi.CreatePolicyRequest{PolicyName: new("p"), PolicyDocument: new("{}"), Path: new("/x")},
			"The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."},
		{"ec2 missing", ec2api.Service(), &ec2api.RunInstancesRequest{MaxCount: new(int32(1))},
			"The request must contain the parameter MinCount"},
		{"ec2 nested missing", ec2api.Service(), &ec2api.DescribeVpcAttributeRequest{VpcId: new("vpc-1")},
			"The request must contain the parameter Attribute"},
		{"ec2 enum", ec2api.Service(), &ec2api.CreateVolumeRequest{VolumeType: new("gp9")},
			"Value (gp9) for parameter volumeType is invalid. Valid values are standard, io1, io2, gp2, sc1, st1, gp3."},
		{"ec2 number", ec2api.Service(), &ec2api.DescribeLaunchTemplatesRequest{MaxResults: new(int32(0))},
			"Value ( 0 ) for parameter maxResults is invalid. Expecting a value greater than or equal to 1."},
		{"ec2 number with AWS's words", ec2api.Service(), &ec2api.DescribeSubnetsRequest{MaxResults: new(int32(4))},
			"Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5."},
		{"organizations pattern", organizationsapi.Service(), &organizationsapi.DescribeAccountRequest{AccountId: new("99")},
			"You provided a value that does not match the required pattern."},
		{"organizations missing", organizationsapi.Service(), &organizationsapi.DescribeAccountRequest{}, "You must include a value for all required parameters."},
		{"organizations enum", organizationsapi.Service(), &organizationsapi.ListChildrenRequest{ParentId: new("r-abcd"), ChildType: new("FOO")}, "You specified an invalid value."},
		{"organizations policy type", organizationsapi.Service(), &organizationsapi.ListPoliciesRequest{Filter: new("FOO")}, "You specified an invalid policy type string."},
		{"organizations effective policy type", organizationsapi.Service(), &organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new("SERVICE_CONTROL_POLICY")},
			"You specified an invalid policy type string."},
		{"organizations policy id", organizationsapi.Service(), &organizationsapi.AttachPolicyRequest{PolicyId: new("x"), TargetId: new("r-abcd")}, "You specified an invalid policy ID."},
		{"organizations target", organizationsapi.Service(), &organizationsapi.AttachPolicyRequest{PolicyId: new("p-12345678"), TargetId: new("x")},
			"You specified a policy target ID that doesn't match the required pattern."},
		{"organizations list", organizationsapi.Service(), &organizationsapi.ListCreateAccountStatusRequest{States: []string{"FOO"}},
			"You provided a list to a parameter that contains at least one invalid value."},
		{"organizations too long", organizationsapi.Service(), &organizationsapi.CreateOrganizationalUnitRequest{ParentId: new("r-abcd"), Name: new(strings.Repeat("x", 129))},
			"You provided a string parameter that is longer than allowed."},
		{"organizations too much", organizationsapi.Service(), &organizationsapi.ListAccountsRequest{MaxResults: new(int32(21))},
			"You provided a numeric parameter that has a larger value than allowed."},
		{"organizations too little", organizationsapi.Service(), &organizationsapi.ListAccountsRequest{MaxResults: new(int32(0))},
			"You provided a numeric parameter that has a smaller value than allowed."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, err := wire.TableOf(tt.svc)
			if err != nil {
				t.Fatal(err)
			}
			err = table.Validate(tt.in)
			e, _ := err.(*apierr.Error)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if e == nil || e.Message != tt.want {
				t.Fatalf("\n got %v\nwant %s", err, tt.want)
			}
			wantCode := "ValidationException"
			switch {
			case strings.HasPrefix(tt.want, "The request must"):
				wantCode = "MissingParameter"
			case tt.svc.Protocol == api.EC2:
				wantCode = "InvalidParameterValue"
			case tt.svc.Name == "organizations":
				wantCode = "InvalidInputException"
			}
			if e.Code != wantCode {
				t.Errorf("code %s, want %s", e.Code, wantCode)
			}
		})
	}
}

func TestValidationMessageIsBounded(t *testing.T) {
	table, err := wire.TableOf(kmsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	in := &kmsapi.TagResourceRequest{KeyId: new("k"), Tags: make([]kmsapi.Tag, 10_000)}
	if err := table.Validate(in); err == nil || len(err.Error()) > 10_000 {
		t.Errorf("got %d bytes", len(err.Error()))
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern  string
		yes, no  []string
		mistaken bool
	}{
		{pattern: `^[a-f0-9]+$`, yes: []string{"0af"}, no: []string{"", "0AF", "0a\n"}},
		{pattern: `cluster-[2-7a-zA-Z]{2,3}`, yes: []string{"cluster-ab"}, no: []string{"xcluster-ab", "cluster-abcd"}},
		{pattern: `[\u0020-\u00FF]*`, yes: []string{"", "é ÿ"}, no: []string{"\t", "Ā", "a\u0100"}},
		{pattern: `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*`, yes: []string{"🔑", "\r\n\t"}, no: []string{"\x00", "\uFFFE"}},
		{pattern: `[\w]+`, yes: []string{"a_1"}, no: []string{"é", "a-b"}},
		{pattern: `(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, yes: []string{"/", "/a/b/"}, no: []string{"//b c/", "a/"}},
		{pattern: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, yes: []string{"鍵 1"}, no: []string{"a#"}},
		{pattern: `^ami-[a-z]{1,2}$|x`, yes: []string{"ami-a", "x"}, no: []string{"xx", "ami-a\nx"}},
		{pattern: `a\u12`, mistaken: true},
		{pattern: `[\uD800]`, mistaken: true},
		{pattern: `[\uDC00]`, mistaken: true},
		{pattern: `(?=a)b`, mistaken: true},
		{pattern: `a\`, mistaken: true},
	} {
		match, err := wire.CompilePattern(tt.pattern)
		if (err != nil) != tt.mistaken {
			t.Errorf("%s: %v", tt.pattern, err)
		}
		if err != nil {
			continue
		}
		for _, s := range tt.yes {
			if !match(s) {
				t.Errorf("%s does not match %q", tt.pattern, s)
			}
		}
		for _, s := range tt.no {
			if match(s) {
				t.Errorf("%s matches %q", tt.pattern, s)
			}
		}
	}
}

func TestBadModelsAreRefused(t *testing.T) {
	type unknownOption struct {
		A *string `aws:"A,z=1"`
	}
	type unknownRule struct {
		A *string `aws:"A,c=Nope"`
	}
	type noTag struct{ A *string }
	type badType struct {
		A chan int `aws:"A"`
	}
	type nested struct {
		A [][]string `aws:"A"`
	}
	type twice struct {
		A, B *string `aws:"A"`
	}
	type format struct {
		A *string `aws:"A,ts=rfc822"`
	}
	for _, in := range []any{new(unknownOption), new(unknownRule), new(noTag), new(badType), new(nested), new(twice), new(format)} {
		svc := &api.Service{Name: "x", Protocol: api.Query, Operations: map[string]*api.Operation{
			"Op": {Name: "Op", NewInput: func() any { return in }},
		}}
		if _, err := wire.TableOf(svc); err == nil {
			t.Errorf("%T was accepted", in)
		}
	}
	if _, err := wire.TableOf(&api.Service{Constraints: map[string]*api.Constraint{"C": {Pattern: `(?=x)`}}}); err == nil {
		t.Error("a pattern that cannot be translated was accepted")
	}
}

func BenchmarkValidate(b *testing.B) {
	table, err := wire.TableOf(kmsapi.Service())
	if err != nil {
		b.Fatal(err)
	}
	in := &kmsapi.GenerateDataKeyRequest{KeyId: new("alias/app"), KeySpec: new("AES_256"), EncryptionContext: map[string]string{"a": "b"}}
	b.ReportAllocs()
	for b.Loop() {
		if err := table.Validate(in); err != nil {
			b.Fatal(err)
		}
	}
}
