package scenario_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/speech"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestTheDoctorsFixesOpenNothingElseOnAServer makes requests that no launch makes, on a server with
// the world of each failing scenario and again with its fix: by users of whom the scenario does not
// know, in the account that launches and in another, with an IAM policy for all of KMS and without.
// What a fix opens beside is told with it.
func TestTheDoctorsFixesOpenNothingElseOnAServer(t *testing.T) {
	all := files(t)
	s := testkit.Start(t, testkit.Options{})
	asked, fixes := 0, 0
	for _, id := range slices.Sorted(maps.Keys(all)) {
		sc, err := scenario.Parse(all[id])
		if err != nil {
			t.Fatal(err)
		}
		r := doctor.Check(sc)
		if r.Fix == nil {
			continue
		}
		t.Run(id, func(t *testing.T) {
			fixes++
			before := openings(t, s, sc, sc)
			fixed, err := sc.Patched(r.Fix.Patch)
			if err != nil {
				t.Fatal(err)
			}
			after := openings(t, s, sc, fixed)
			asked += len(before)
			told := slices.ContainsFunc(r.Fix.Opens, func(o speech.Text) bool {
				return o.String() == "Whoever the statement is for can make grants without a service between, for anybody."
			})
			for what, allowed := range after {
				if allowed && !before[what] && !(told && strings.HasPrefix(what, "CreateGrant on ") && strings.Contains(what, " to stranger of ")) {
					t.Errorf("%s allows %s", r.Fix.Summary, what)
				}
			}
		})
	}
	if fixes != 38 || asked < 1000 {
		t.Errorf("%d requests about %d fixes", asked, fixes)
	}
}

// openings builds a world and reports which requests of the sample it allows, on the keys of the
// world before it was fixed.
func openings(t *testing.T, s *testkit.Server, before, sc *scenario.Scenario) map[string]bool {
	t.Helper()
	if err := s.App.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err := scenario.Load(t.Context(), config(t, s), sc)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, account := range []string{sc.Launch.Account, "999999999999"} {
		for name, creds := range strangersOf(t, s, account) {
			for _, k := range before.Keys {
				key := w.Real(k.ARN)
				c := s.In(k.Region, creds)
				for op, in := range sample(key, arn.User(account, "/", name)) {
					code := apierr.Code(c.KMS.Do(t.Context(), op, in, nil))
					// Whatever else KMS says comes after the decision.
					out[strings.Join([]string{op, "on", k.ARN, "to", name, "of", account}, " ")] = code != "AccessDeniedException"
				}
			}
		}
	}
	return out
}

// strangersOf makes two users of an account.
func strangersOf(t *testing.T, s *testkit.Server, account string) map[string]sigv4.Credentials {
	t.Helper()
	iam := s.As(testkit.Admin(account)).IAM
	out := map[string]sigv4.Credentials{}
	for _, name := range []string{"stranger", "nobody"} {
		testkit.Call[iamapi.CreateUserResponse](iam, "CreateUser", &iamapi.CreateUserRequest{UserName: &name})
		if name == "stranger" {
			testkit.Must(iam, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("all"),
				PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`)})
		}
		key := testkit.Call[iamapi.CreateAccessKeyResponse](iam, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
		out[name] = sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: *key.SecretAccessKey}
	}
	return out
}

// sample are requests that change nothing, each of which KMS decides first.
func sample(key, who string) map[string]any {
	dry := new(true)
	return map[string]any{
		"DescribeKey":                     &kmsapi.DescribeKeyRequest{KeyId: &key},
		"GetKeyPolicy":                    &kmsapi.GetKeyPolicyRequest{KeyId: &key, PolicyName: new("default")},
		"ListGrants":                      &kmsapi.ListGrantsRequest{KeyId: &key},
		"GetKeyRotationStatus":            &kmsapi.GetKeyRotationStatusRequest{KeyId: &key},
		"Encrypt":                         &kmsapi.EncryptRequest{KeyId: &key, Plaintext: secret.Bytes("x"), DryRun: dry},
		"GenerateDataKey":                 &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256"), DryRun: dry},
		"GenerateDataKeyWithoutPlaintext": &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &key, KeySpec: new("AES_256"), DryRun: dry},
		"CreateGrant":                     &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &who, Operations: []string{"Decrypt"}, DryRun: dry},
	}
}
