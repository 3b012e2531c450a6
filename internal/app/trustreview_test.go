package app_test

import (
	"encoding/json"
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
	evidence := func(id string) int {
		testkit.Refused(spy.KMS, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: blob(id)})
		return len(lastAuthorization(t, spy, "Decrypt").Authorizations[0].Evaluations)
	}
	if here, gone := evidence(*key.KeyId), evidence(absent); here != gone {
		t.Errorf("%d evaluations if the key exists, %d if it does not", here, gone)
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
