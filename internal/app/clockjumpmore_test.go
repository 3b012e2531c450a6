package app_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/rate"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// userIn makes a user of the account, with an access key, who is allowed nothing.
func userIn(c testkit.Clients, name string) (userARN string, creds sigv4.Credentials) {
	u := testkit.Call[iamapi.CreateUserResponse](c.IAM, "CreateUser", &iamapi.CreateUserRequest{UserName: &name}).User
	k := testkit.Call[iamapi.CreateAccessKeyResponse](c.IAM, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return *u.Arn, sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: *k.SecretAccessKey}
}

// A grant has no time: it allows whatever the clock says, through a restart too, and one that was revoked does not
// come back when the clock does.
func TestClockJumpsAndGrants(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	user, creds := userIn(c, "ana")
	key := testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
	grant := func() *kmsapi.CreateGrantResponse {
		t.Helper()
		return testkit.Call[kmsapi.CreateGrantResponse](c.KMS, "CreateGrant", &kmsapi.CreateGrantRequest{KeyId: key, GranteePrincipal: &user, Operations: []string{"Encrypt"}})
	}
	may := func(tokens ...string) bool {
		t.Helper()
		return s.As(creds).KMS.Do(t.Context(), "Encrypt", &kmsapi.EncryptRequest{KeyId: key, Plaintext: []byte("x"), GrantTokens: tokens}, nil) == nil
	}
	first := grant()
	for _, d := range []time.Duration{0, 2 * year, -4 * year, 2 * year} {
		jump(d)
		if !may() || !may(*first.GrantToken) {
			t.Errorf("after a jump of %s the grant does not allow", d)
		}
	}
	jump(year)
	second := grant()
	testkit.Must(c.KMS, "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: key, GrantId: second.GrantId})
	testkit.Must(c.KMS, "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: key, GrantId: first.GrantId})
	for _, d := range []time.Duration{0, -year, -time.Hour, year} {
		jump(d)
		if may() || may(*first.GrantToken) || may(*second.GrantToken) {
			t.Errorf("after a jump of %s a revoked grant allows", d)
		}
	}
	jump(-3 * year)
	third := grant()
	s.Restart()
	c = s.As(testkit.Admin(account))
	if !may() {
		t.Error("after a restart in the past the grant does not allow")
	}
	if n := len(testkit.Call[kmsapi.ListGrantsResponse](c.KMS, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: key}).Grants); n != 1 {
		t.Errorf("%d grants, want that of %s", n, *third.GrantId)
	}
}

// importing is a key that waits for its material, and a request that brings it.
func importing(t *testing.T, c testkit.Clients) (key *string, in *kmsapi.ImportKeyMaterialRequest) {
	t.Helper()
	key = testkit.Call[kmsapi.CreateKeyResponse](c.KMS, "CreateKey", &kmsapi.CreateKeyRequest{Origin: new("EXTERNAL")}).KeyMetadata.KeyId
	p := testkit.Call[kmsapi.GetParametersForImportResponse](c.KMS, "GetParametersForImport", &kmsapi.GetParametersForImportRequest{
		KeyId: key, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048"),
	})
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	material := make([]byte, 32)
	_, _ = rand.Read(material) // never fails
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key, &kmsapi.ImportKeyMaterialRequest{KeyId: key, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrapped, ExpirationModel: new("KEY_MATERIAL_DOES_NOT_EXPIRE")}
}

// An import token is good for its day by the wall clock: not after a jump forward, and again when the clock is right.
func TestClockJumpsAndImportTokens(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	key, in := importing(t, c)
	jump(25 * time.Hour)
	if e := testkit.Refused(c.KMS, "ImportKeyMaterial", in); e.Code != "ExpiredImportTokenException" {
		t.Errorf("a day later: %v", e)
	}
	jump(-2 * time.Hour)
	testkit.Must(c.KMS, "ImportKeyMaterial", in)
	if got := keyState(t, c, key); got != "Enabled" {
		t.Errorf("the key is %s", got)
	}
	jump(-10 * year)
	_, in = importing(t, c)
	jump(10 * year)
	if e := testkit.Refused(c.KMS, "ImportKeyMaterial", in); e.Code != "ExpiredImportTokenException" {
		t.Errorf("a token of a clock that was wrong: %v", e)
	}
}

// Imported material goes when its time has come by the wall clock, at most a day late, and does not come back with
// the clock.
func TestClockJumpsAndImportedMaterial(t *testing.T) {
	s, jump := jumping(t)
	c := s.As(testkit.Admin(account))
	key, in := importing(t, c)
	in.ExpirationModel, in.ValidTo = new("KEY_MATERIAL_EXPIRES"), new(time.Now().Add(30*day))
	testkit.Must(c.KMS, "ImportKeyMaterial", in)
	jump(-20 * day)
	s.Advance(30*day + time.Hour) // the timer's day, 20 days too early
	if got := keyState(t, c, key); got != "Enabled" {
		t.Errorf("20 days early the key is %s", got)
	}
	jump(21 * day)
	s.Advance(day + time.Minute)
	if got := keyState(t, c, key); got != "PendingImport" {
		t.Errorf("a day after the clock was set right the key is %s", got)
	}
	jump(-2 * year)
	s.Restart()
	if got := keyState(t, s.As(testkit.Admin(account)), key); got != "PendingImport" {
		t.Errorf("when the clock is back the key is %s", got)
	}
}

// Rate limits go by time that passes, not by what the clock shows: a jump fills no bucket, and keeps nobody waiting.
func TestClockJumpsAndRateLimits(t *testing.T) {
	s, jump := jumpingWith(t, func(cfg *app.Config) {
		cfg.Quotas = rate.Quotas{Mode: rate.Off, Set: map[string]rate.Limit{"kms:ListKeys": {PerSecond: 0.001, Burst: 3}, "kms:ListAliases": {PerSecond: 1000, Burst: 1}}}
	})
	c := s.As(testkit.Admin(account))
	ask := func(op string, in any) string {
		if err := c.KMS.Do(t.Context(), op, in, nil); err != nil {
			return "refused"
		}
		return "served"
	}
	for i, want := range []string{"served", "served", "served", "refused"} {
		if got := ask("ListKeys", &kmsapi.ListKeysRequest{}); got != want {
			t.Errorf("request %d is %s, want %s", i, got, want)
		}
		jump([]time.Duration{year, -2 * year, year, 0}[i])
	}
	for _, d := range []time.Duration{year, -3 * year} {
		jump(d)
		if got := ask("ListKeys", &kmsapi.ListKeysRequest{}); got != "refused" {
			t.Errorf("a jump of %s filled the bucket", d)
		}
	}
	jump(-5 * year)
	for i := 0; ask("ListAliases", &kmsapi.ListAliasesRequest{}) != "served"; i++ { // a bucket that fills within a millisecond
		if i == 1000 {
			t.Fatal("after a jump back nobody is served")
		}
	}
}
