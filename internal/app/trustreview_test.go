package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/envelope"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

func reviewUser(t *testing.T, s *testkit.Server, account, name, policy string) testkit.Clients {
	admin := s.As(testkit.Admin(account))
	testkit.Call[iamapi.CreateUserResponse](admin.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: &name})
	if policy != "" {
		testkit.Must(admin.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("p"), PolicyDocument: &policy})
	}
	k := testkit.Call[iamapi.CreateAccessKeyResponse](admin.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return s.As(sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: *k.SecretAccessKey})
}

// An account must not learn from its own evidence what the tags and aliases of another account's key are.
func TestEvidenceDoesNotTellTheAttributesOfForeignKeys(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	owner := s.As(testkit.Admin("111122223333"))
	key := testkit.Call[kmsapi.CreateKeyResponse](owner.KMS, "CreateKey", &kmsapi.CreateKeyRequest{
		Tags: []kmsapi.Tag{{TagKey: new("Project"), TagValue: new("moonshot")}}}).KeyMetadata
	testkit.Must(owner.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/hush"), TargetKeyId: key.KeyId})
	spy := reviewUser(t, s, "444455556666", "spy", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["kagimori:*","cloudtrail:*"],"Resource":"*"},
		{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Project":"x"}}},
		{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"x"}}}]}`)
	e := testkit.Refused(spy.KMS, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: key.Arn})
	if e.Code != "AccessDeniedException" {
		t.Fatal(e)
	}
	out := lastAuthorization(t, spy, "DescribeKey")
	text := dump(out)
	for _, secret := range []string{"moonshot", "alias/hush"} {
		if strings.Contains(text, secret) {
			t.Errorf("the caller's account learns %s: %s", secret, text)
		}
	}
	if !strings.Contains(text, "aws:ResourceTag/Project") {
		t.Errorf("the caller's own statement is not shown: %s", text)
	}
	// Nor from asking what its principals can do.
	for _, q := range []string{"WhatCan", "WhoCan"} {
		var text string
		if q == "WhatCan" {
			text = dump(testkit.Call[kagimoriapi.WhatCanResponse](spy.Kagimori, q, &kagimoriapi.WhatCanRequest{Principal: new("arn:aws:iam::444455556666:user/spy")}))
		} else {
			text = dump(testkit.Call[kagimoriapi.WhoCanResponse](spy.Kagimori, q, &kagimoriapi.WhoCanRequest{KeyArn: key.Arn, Action: new("kms:DescribeKey")}))
		}
		if strings.Contains(text, "moonshot") || strings.Contains(text, "alias/hush") {
			t.Errorf("%s tells %s", q, text)
		}
	}
}

func dump(v any) string { return mustJSON(v) }

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// lastAuthorization is what the caller's account is told of its last event of a name.
func lastAuthorization(t *testing.T, as testkit.Clients, event string) *kagimoriapi.GetAuthorizationDetailsResponse {
	t.Helper()
	events := testkit.Call[cloudtrailapi.LookupEventsResponse](as.CloudTrail, "LookupEvents", &cloudtrailapi.LookupEventsRequest{
		LookupAttributes: []cloudtrailapi.LookupAttribute{{AttributeKey: new("EventName"), AttributeValue: &event}}}).Events
	if len(events) == 0 {
		t.Fatalf("no event %s", event)
	}
	var r struct{ RequestID string }
	if err := json.Unmarshal([]byte(*events[0].CloudTrailEvent), &r); err != nil {
		t.Fatal(err)
	}
	return testkit.Call[kagimoriapi.GetAuthorizationDetailsResponse](as.Kagimori, "GetAuthorizationDetails", &kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: &r.RequestID})
}

// Whoever knows no secret must not write anything: an access key id alone makes no account and no user.
func TestUnverifiedRequestsMakeNoDevelopmentAccount(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	forged := s.As(sigv4.Credentials{AccessKeyID: "777788889999ADMIN", Secret: "guess"})
	if e := testkit.Refused(forged.KMS, "ListKeys", &kmsapi.ListKeysRequest{}); e.Code != "InvalidSignatureException" {
		t.Fatal(e)
	}
	listed := func() (found bool) {
		out := testkit.Call[organizationsapi.ListAccountsResponse](s.As(testkit.Root(directory.DevAccount)).Organizations, "ListAccounts", &organizationsapi.ListAccountsRequest{})
		return slices.ContainsFunc(out.Accounts, func(a organizationsapi.Account) bool { return *a.Id == "777788889999" })
	}
	users := func() int {
		return len(testkit.Call[iamapi.ListUsersResponse](s.As(testkit.Root("777788889999")).IAM, "ListUsers", &iamapi.ListUsersRequest{}).Users)
	}
	if listed() {
		t.Error("an account was made for a request that nobody signed")
	}
	if n := users(); n != 0 {
		t.Errorf("%d users were made for a request that nobody signed", n)
	}
	testkit.Call[kmsapi.ListKeysResponse](s.As(testkit.Admin("777788889999")).KMS, "ListKeys", &kmsapi.ListKeysRequest{})
	if !listed() || users() != 1 {
		t.Errorf("listed %t, %d users after a request that was signed", listed(), users())
	}
}

// A header of a ciphertext is in the clear, so anybody can make one: what it is answered must not
// tell whether the key of another account exists.
func TestForgedCiphertextsDoNotTellWhetherAForeignKeyExists(t *testing.T) {
	const owner, absent = "111122223333", "11111111-2222-3333-4444-555555555555"
	s := testkit.Start(t, testkit.Options{})
	key := testkit.Call[kmsapi.CreateKeyResponse](s.As(testkit.Admin(owner)).KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	spy := s.As(testkit.Admin("444455556666"))
	own := testkit.Call[kmsapi.CreateKeyResponse](spy.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	blob := func(id string) []byte {
		out, err := envelope.Marshal(envelope.Header{
			Region: testkit.Region, Account: owner, KeyID: id, MaterialID: strings.Repeat("0", 64), Algorithm: "SYMMETRIC_DEFAULT",
		}, make([]byte, 60))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	said := func(e *apierr.Error) string { // without the id of the request
		text, _, _ := strings.Cut(e.Message, ". Run kagimori explain ")
		return text
	}
	for name, try := range map[string]struct {
		op string
		in func(id string) any
	}{
		"Decrypt":                    {"Decrypt", func(id string) any { return &kmsapi.DecryptRequest{CiphertextBlob: blob(id)} }},
		"Decrypt that names the key": {"Decrypt", func(id string) any { return &kmsapi.DecryptRequest{CiphertextBlob: blob(id), KeyId: &id} }},
		"ReEncrypt to an own key": {"ReEncrypt", func(id string) any {
			return &kmsapi.ReEncryptRequest{CiphertextBlob: blob(id), DestinationKeyId: own.KeyId}
		}},
		"ReEncrypt to nothing": {"ReEncrypt", func(id string) any {
			return &kmsapi.ReEncryptRequest{CiphertextBlob: blob(id), DestinationKeyId: new("alias/none")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			here, gone := testkit.Refused(spy.KMS, try.op, try.in(*key.KeyId)), testkit.Refused(spy.KMS, try.op, try.in(absent))
			if here.Code != gone.Code || strings.ReplaceAll(said(here), *key.KeyId, absent) != said(gone) {
				t.Errorf("%s is refused with %v, one that does not exist with %v", *key.KeyId, here, gone)
			}
		})
	}
	other := "arn:aws:kms:" + testkit.Region + ":" + owner + ":key/"
	for name, try := range map[string]func(id string) (op string, in any){
		"Decrypt": func(id string) (string, any) { return "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob(id)} },
		"ReEncrypt": func(id string) (string, any) {
			return "ReEncrypt", &kmsapi.ReEncryptRequest{CiphertextBlob: blob(id), DestinationKeyId: own.KeyId}
		},
		"ReEncrypt that names the source": func(id string) (string, any) {
			return "ReEncrypt", &kmsapi.ReEncryptRequest{CiphertextBlob: blob(id), SourceKeyId: new(other + id), DestinationKeyId: own.KeyId}
		},
		"ReEncrypt to the key": func(id string) (string, any) {
			return "ReEncrypt", &kmsapi.ReEncryptRequest{CiphertextBlob: blob(id), DestinationKeyId: new(other + id)}
		},
	} {
		evidence := func(id string) string {
			op, in := try(id)
			testkit.Refused(spy.KMS, op, in)
			a := lastAuthorization(t, spy, op).Authorizations[0]
			for i := range a.Evaluations {
				a.Evaluations[i].Context = nil // has the time
			}
			return fmt.Sprint(len(a.Evaluations)) + strings.ReplaceAll(dump(a.Evaluations), id, "KEY")
		}
		if here, gone := evidence(*key.KeyId), evidence(absent); here != gone {
			t.Errorf("%s: of a key that exists, then of one that does not:\n%s\n%s", name, here, gone)
		}
	}
}

// What is refused on an alias, or for a tag, of another account's key does not tell that there is one.
func TestRefusalsTellNothingOfForeignAliasesAndTags(t *testing.T) {
	const owner, account = "111122223333", "444455556666"
	s := testkit.Start(t, testkit.Options{})
	theirs := s.As(testkit.Admin(owner))
	tagged := testkit.Call[kmsapi.CreateKeyResponse](theirs.KMS, "CreateKey", &kmsapi.CreateKeyRequest{
		Tags: []kmsapi.Tag{{TagKey: new("team"), TagValue: new("red")}},
	}).KeyMetadata
	plain := testkit.Call[kmsapi.CreateKeyResponse](theirs.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	testkit.Must(theirs.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/hush"), TargetKeyId: tagged.KeyId})
	spy := reviewUser(t, s, account, "spy", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Sid":"Probe","Effect":"Deny","Action":"kms:DescribeKey","Resource":"arn:aws:kms:*:*:key/*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}]}`)
	prefix := "arn:aws:kms:" + testkit.Region + ":" + owner + ":"
	told := func(name string) string {
		e := testkit.Refused(spy.KMS, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: new(prefix + name)})
		text, _, _ := strings.Cut(e.Message, ". Run kagimori explain ")
		a := lastAuthorization(t, spy, "DescribeKey").Authorizations[0]
		for i := range a.Evaluations {
			a.Evaluations[i].Context = nil // has the time
		}
		out := text + "\n" + dump(a.Evaluations)
		if strings.Contains(out, *tagged.KeyId) && !strings.Contains(name, *tagged.KeyId) {
			t.Errorf("the key of %s is told: %s", name, out)
		}
		return strings.ReplaceAll(out, name, "NAME")
	}
	for _, pair := range [][2]string{{"alias/hush", "alias/none"}, {"key/" + *tagged.KeyId, "key/" + *plain.KeyId}, {"key/" + *tagged.KeyId, "key/11111111-2222-3333-4444-555555555555"}} {
		if a, b := told(pair[0]), told(pair[1]); a != b {
			t.Errorf("%s and %s are told apart:\n%s\n%s", pair[0], pair[1], a, b)
		}
	}
	// The owner sees its own side all the same.
	told("key/" + *tagged.KeyId)
	own := lastAuthorization(t, spy, "DescribeKey").Authorizations[0]
	seen := testkit.Call[kagimoriapi.GetAuthorizationDetailsResponse](theirs.Kagimori, "GetAuthorizationDetails", &kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: own.AuthorizationId})
	if e := seen.Authorizations[0].Evaluations; len(e) != 1 || *e[0].Resource != *tagged.Arn {
		t.Errorf("the owner is told %s", dump(seen))
	}
}

// The default key is looked up for who may set it, and an alias of another account tells nothing.
func TestTheDefaultKeyIsLookedUpForWhoMaySetIt(t *testing.T) {
	const account = "444455556666"
	s := testkit.Start(t, testkit.Options{})
	admin, nobody := s.As(testkit.Admin(account)), reviewUser(t, s, account, "nobody", "")
	set := func(key string, dry bool) *ec2api.ModifyEbsDefaultKmsKeyIdRequest {
		return &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key, DryRun: &dry}
	}
	testkit.Refused(nobody.EC2, "ModifyEbsDefaultKmsKeyId", set("alias/aws/ebs", false))
	testkit.Refused(admin.EC2, "ModifyEbsDefaultKmsKeyId", set("alias/aws/ebs", true))
	if keys := testkit.Call[kmsapi.ListKeysResponse](admin.KMS, "ListKeys", &kmsapi.ListKeysRequest{}).Keys; len(keys) != 0 {
		t.Errorf("who may not set the default key, or only tries, made %d keys", len(keys))
	}
	other := s.As(testkit.Admin("111122223333"))
	key := testkit.Call[kmsapi.CreateKeyResponse](other.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata
	testkit.Must(other.KMS, "CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/hush"), TargetKeyId: key.KeyId})
	for _, alias := range []string{"alias/hush", "alias/none"} {
		name := "arn:aws:kms:" + testkit.Region + ":111122223333:" + alias
		got := testkit.Call[ec2api.ModifyEbsDefaultKmsKeyIdResult](admin.EC2, "ModifyEbsDefaultKmsKeyId", set(name, false))
		if *got.KmsKeyId != name {
			t.Errorf("%s is answered with %s", name, *got.KmsKeyId)
		}
	}
}
