package kms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
)

const prefixMessage = "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"

func TestAliasNames(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	pattern := "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
	tests := map[string]struct{ name, code, create, others string }{
		"no prefix":    {"app", "ValidationException", prefixMessage, "Invalid identifier"},
		"reserved":     {"alias/aws/mine", "NotAuthorizedException", "", ""},
		"space":        {"alias/a b", "ValidationException", pattern, pattern},
		"colon":        {"alias/my:alias", "ValidationException", "alias/my:alias contains invalid characters for an alias", "alias/my:alias contains invalid characters for an alias"},
		"prefix alone": {"alias/", "ValidationException", "Alias must not be blank", "Alias must not be blank"},
		"too long":     {"alias/" + strings.Repeat("a", 251), "ValidationException", "*", "*"},
	}
	for name, tt := range tests {
		root.w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&kmsapi.CreateAliasRequest{AliasName: &tt.name, TargetKeyId: &key}), tt.code, tt.create)
			wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: &tt.name, TargetKeyId: &key}), tt.code, tt.others)
			wantErr(t, root.try(&kmsapi.DeleteAliasRequest{AliasName: &tt.name}), tt.code, tt.others)
		})
	}
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/a/b_C-9"), TargetKeyId: &key})
}

func TestAliasTargets(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &key})
	tests := map[string]struct{ target, code, message string }{
		"an alias":             {"alias/app", "ValidationException", "Aliases must refer to keys. Not aliases"},
		"an alias ARN":         {arn.KMSAlias(region, owner, "alias/app"), "ValidationException", "Aliases must refer to keys. Not aliases"},
		"nothing":              {missing, "NotFoundException", "Key '" + missingARN(owner) + "' does not exist"},
		"a key in the account": {key, "AlreadyExistsException", "An alias with the name " + arn.KMSAlias(region, owner, "alias/app") + " already exists"},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &tt.target}), tt.code, tt.message)
		})
	}
	none := "Alias " + arn.KMSAlias(region, owner, "alias/none") + " is not found."
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/none"), TargetKeyId: &key}), "NotFoundException", none)
	wantErr(t, root.try(&kmsapi.DeleteAliasRequest{AliasName: new("alias/none")}), "NotFoundException", none)
}

// A key of another account can have no alias here, even if its policy says so.
func TestAliasOnForeignKey(t *testing.T) {
	w := newWorld(t)
	key := w.root(owner).newKey(allow(arn.Root(other), "", "kms:*"))
	they := w.root(other)
	wantHidden(t, they.try(&kmsapi.CreateAliasRequest{AliasName: new("alias/theirs"), TargetKeyId: &key}), they, "kms:CreateAlias")
	if n := w.size("kms/alias"); n != 0 {
		t.Errorf("%d aliases were made", n)
	}
}

func TestUpdateAliasKeepsTheKind(t *testing.T) {
	root := newWorld(t).root(owner)
	key := root.newKey()
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &key})
	alias := arn.KMSAlias(region, owner, "alias/app")
	hmac := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")})
	rsa := root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")})
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/app"), TargetKeyId: hmac.KeyId}), "ValidationException",
		"Alias "+alias+" cannot be changed from a CMK with key usage ENCRYPT_DECRYPT to a CMK with key usage GENERATE_VERIFY_MAC.")
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/app"), TargetKeyId: rsa.KeyId}), "ValidationException",
		"Alias "+alias+" cannot be changed from a symmetric CMK to an asymmetric CMK or vice versa.")
	if got := root.describe("alias/app"); *got.Arn != key {
		t.Errorf("the alias moved to %s", *got.Arn)
	}
}

func TestAliasMovesAndGoes(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	a, b := root.newKey(), root.newKey()
	of := func(key string) (names []string) {
		t.Helper()
		for _, e := range get[kmsapi.ListAliasesResponse](root, &kmsapi.ListAliasesRequest{KeyId: &key}).Aliases {
			names = append(names, *e.AliasName)
			if *e.TargetKeyId != id(key) || *e.AliasArn != arn.KMSAlias(region, owner, *e.AliasName) || e.CreationDate == nil {
				t.Errorf("entry %+v", e)
			}
		}
		return names
	}
	want := func(key string, names ...string) {
		t.Helper()
		if d := cmp.Diff(names, of(key)); d != "" {
			t.Error(d)
		}
	}
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/one"), TargetKeyId: &a})
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/two"), TargetKeyId: new(id(a))})
	want(a, "alias/one", "alias/two")
	check(t, w.clock.Advance(t.Context(), 1e9))
	root.must(&kmsapi.UpdateAliasRequest{AliasName: new("alias/one"), TargetKeyId: &b})
	want(a, "alias/two")
	want(b, "alias/one")
	e := get[kmsapi.ListAliasesResponse](root, &kmsapi.ListAliasesRequest{KeyId: &b}).Aliases[0]
	if !e.LastUpdatedDate.After(*e.CreationDate) {
		t.Errorf("created %v, updated %v", e.CreationDate, e.LastUpdatedDate)
	}
	root.must(&kmsapi.UpdateAliasRequest{AliasName: new("alias/one"), TargetKeyId: &b}) // to where it is
	want(b, "alias/one")
	root.must(&kmsapi.DeleteAliasRequest{AliasName: new("alias/one")})
	want(b)
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/one"), TargetKeyId: &a})
	want(a, "alias/one", "alias/two")
}

func TestAliasLimit(t *testing.T) {
	root := newWorld(t).root(owner)
	key, spare := root.newKey(), root.newKey()
	for i := range 50 {
		root.must(&kmsapi.CreateAliasRequest{AliasName: new(fmt.Sprintf("alias/n%02d", i)), TargetKeyId: &key})
	}
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &spare})
	wantErr(t, root.try(&kmsapi.CreateAliasRequest{AliasName: new("alias/more"), TargetKeyId: &key}), "LimitExceededException", "*")
	wantErr(t, root.try(&kmsapi.UpdateAliasRequest{AliasName: new("alias/spare"), TargetKeyId: &key}), "LimitExceededException", "*")
	if got := root.describe("alias/spare"); *got.Arn != spare {
		t.Errorf("the alias moved to %s", *got.Arn)
	}
}

// The alias of EBS's key is listed in its place before the key exists, whatever the page size.
func TestListAliasesShowsPredefined(t *testing.T) {
	for limit := int32(1); limit <= 5; limit++ {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			root := newWorld(t).root(owner)
			key := root.newKey()
			for _, n := range []string{"alias/a", "alias/aws-", "alias/z"} {
				root.must(&kmsapi.CreateAliasRequest{AliasName: &n, TargetKeyId: &key})
			}
			names := func() (names []string) {
				in := &kmsapi.ListAliasesRequest{Limit: &limit}
				for {
					out := get[kmsapi.ListAliasesResponse](root, in)
					if len(out.Aliases) > int(limit) {
						t.Errorf("%d aliases on a page of %d", len(out.Aliases), limit)
					}
					for _, a := range out.Aliases {
						names = append(names, *a.AliasName)
						if (a.TargetKeyId == nil) != strings.HasPrefix(*a.AliasName, "alias/aws/") {
							t.Errorf("%s has target %v", *a.AliasName, a.TargetKeyId)
						}
					}
					if !*out.Truncated {
						return names
					}
					in.Marker = out.NextMarker
				}
			}
			want := []string{"alias/a", "alias/aws-"}
			for _, service := range predefinedServices {
				want = append(want, "alias/aws/"+service)
			}
			want = append(want, "alias/z")
			if d := cmp.Diff(want, names()); d != "" {
				t.Error(d)
			}
		})
	}
	root := newWorld(t).root(owner)
	managed := root.describe("alias/aws/ebs")
	out := get[kmsapi.ListAliasesResponse](root, &kmsapi.ListAliasesRequest{})
	for _, a := range out.Aliases {
		if made := *a.AliasName == "alias/aws/ebs"; made != (a.TargetKeyId != nil) || made && *a.TargetKeyId != *managed.KeyId {
			t.Errorf("after first use: %s has target %v", *a.AliasName, a.TargetKeyId)
		}
	}
}

var predefinedServices = []string{
	"acm", "backup", "dynamodb", "ebs", "elasticfilesystem", "es", "fsx", "glue", "kinesis", "kinesisvideo", "lambda", "rds", "redshift", "s3", "secretsmanager",
	"sns", "sqs", "ssm", "xray",
}

// DescribeKey makes the AWS managed key of any service; only the service may use it, for this account.
func TestDescribeKeyMakesManagedKeys(t *testing.T) {
	for _, service := range predefinedServices {
		root := newWorld(t).root(owner)
		alias := "alias/aws/" + service
		k := root.describe(alias)
		if k.KeyManager != nil && *k.KeyManager != kmsapi.KeyManagerTypeAWS || *k.KeyState != kmsapi.KeyStateEnabled {
			t.Errorf("%s: %+v", alias, k)
		}
		if again := root.describe(*k.Arn); *again.KeyId != *k.KeyId || !strings.HasPrefix(*again.Description, "Default key that protects my ") {
			t.Errorf("%s: %+v", alias, again)
		}
		wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &alias, Plaintext: []byte("x")}), "AccessDeniedException", "*")
		wantErr(t, root.try(&kmsapi.ScheduleKeyDeletionRequest{KeyId: k.Arn}), "AccessDeniedException", "*")
	}
	root := newWorld(t).root(owner)
	wantErr(t, root.try(&kmsapi.DescribeKeyRequest{KeyId: new("alias/aws/nothing")}), "NotFoundException", "*")
}

// An alias operation needs its permission on the alias, from IAM alone, and on each key.
func TestAliasPermissions(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	a, b := root.newKey(), root.newKey()
	aliasARN := arn.KMSAlias(region, owner, "alias/app")
	const create, update, del = "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"
	both := w.user(owner, "both", iam(aliasARN, create, update, del), iam(a, create, update, del), iam(b, update))
	onlyAlias := w.user(owner, "alias", iam(aliasARN, create, update, del))
	onlyKey := w.user(owner, "key", iam(a, create, update, del))
	oneKey := w.user(owner, "one", iam(aliasARN, update), iam(a, update))

	in := &kmsapi.CreateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &a}
	wantDenied(t, onlyAlias.try(in), onlyAlias, create, a, noIdentity(create))
	wantDenied(t, onlyKey.try(in), onlyKey, create, aliasARN, noIdentity(create))
	both.must(in)
	move := &kmsapi.UpdateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &b}
	wantDenied(t, oneKey.try(move), oneKey, update, b, noIdentity(update))
	both.must(move)
	root.must(&kmsapi.UpdateAliasRequest{AliasName: new("alias/app"), TargetKeyId: &a})
	remove := &kmsapi.DeleteAliasRequest{AliasName: new("alias/app")}
	wantDenied(t, onlyAlias.try(remove), onlyAlias, del, a, noIdentity(del))
	wantDenied(t, onlyKey.try(remove), onlyKey, del, aliasARN, noIdentity(del))
	both.must(remove)
}
