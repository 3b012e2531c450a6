package kagimori_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// S8: an allowed request that fails says why, and that permissions are not the reason.
func TestAnAllowedRequestThatFailsSaysWhy(t *testing.T) {
	const symmetric = " is not a symmetric encryption key, and "
	rsa := kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")}
	mac := kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")}
	for name, c := range map[string]struct {
		key     kmsapi.CreateKeyRequest
		disable bool
		grant   bool
		want    string // in the last line
	}{
		"data key under RSA":      {rsa, false, false, symmetric + "GenerateDataKeyWithoutPlaintext for a volume works with no other."},
		"data key under HMAC":     {mac, false, false, symmetric},
		"grant on RSA":            {rsa, false, true, symmetric + "CreateGrant for a volume works with no other."},
		"grant on HMAC":           {mac, false, true, symmetric},
		"data key under disabled": {kmsapi.CreateKeyRequest{}, true, false, "The permissions are there, but the request failed: DisabledException, arn:aws:kms:"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			admin := k.Lookup(accountG + "ADMIN")
			_, out, err := k.useKMS(admin, "CreateKey", &c.key)
			k.Must(err)
			key := *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
			if c.disable {
				_, _, err = k.useKMS(admin, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &key})
				k.Must(err)
			}
			var id string
			if ec2 := admin.Via("ec2.amazonaws.com"); c.grant {
				id, _, err = k.useKMS(ec2, "CreateGrant", attachGrant(key, accountG))
			} else {
				id, _, err = k.useKMS(ec2, "GenerateDataKeyWithoutPlaintext", dataKey(key))
			}
			if err == nil {
				t.Fatal("the request succeeded")
			}
			_, e := k.evaluation(accountG, id)
			all := strings.Join(e.Explanation, "\n")
			if last := e.Explanation[len(e.Explanation)-1]; api.Val(e.EvaluatedEffect) != "ALLOW" || !strings.Contains(last, c.want) ||
				!strings.Contains(all, "The permissions are there, but the request failed: ") {
				t.Errorf("the explanation (%s) is:\n%s", api.Val(e.EvaluatedEffect), all)
			}
			// What somebody asks for without EC2 may be anything: no more is said of it.
			id, _, _ = k.useKMS(admin, "GenerateDataKeyWithoutPlaintext", dataKey(key))
			if _, e = k.evaluation(accountG, id); strings.Contains(strings.Join(e.Explanation, "\n"), symmetric) {
				t.Errorf("a direct request is explained by volumes: %q", e.Explanation)
			}
		})
	}
}

// A dry run ends with an error code and is no failure.
func TestADryRunIsNotExplainedAsAFailure(t *testing.T) {
	k := newKit(t)
	admin := k.Lookup(accountG + "ADMIN")
	_, out, err := k.useKMS(admin, "CreateKey", &kmsapi.CreateKeyRequest{})
	k.Must(err)
	in := dataKey(*out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn)
	in.DryRun = new(true)
	id, _, err := k.useKMS(admin, "GenerateDataKeyWithoutPlaintext", in)
	if err == nil {
		t.Fatal("the dry run has no error code")
	}
	_, e := k.evaluation(accountG, id)
	all := strings.Join(e.Explanation, "\n")
	if !strings.Contains(all, "It was a dry run") || strings.Contains(all, "failed") {
		t.Errorf("the explanation is:\n%s", all)
	}
}
