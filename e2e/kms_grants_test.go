package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// decryptGrant makes a grant for the account's root.
func (c *client) decryptGrant(t *testing.T, key *string) *kms.CreateGrantOutput {
	t.Helper()
	return c.grant(t, kms.CreateGrantInput{
		KeyId: key, GranteePrincipal: new(seed.Root(c.account)), RetiringPrincipal: new(seed.Root(c.account)), Operations: []kmstypes.GrantOperation{"Decrypt"},
	})
}

func testCreateGrant(t *testing.T, c *client) {
	k := c.symmetric(t)
	in := kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: new(seed.Root(c.account)), Operations: []kmstypes.GrantOperation{"Decrypt"}, Name: new("n")}
	a, b := c.grant(t, in), c.grant(t, in)
	if *a.GrantId != *b.GrantId || len(*a.GrantId) != 64 || *a.GrantToken == "" {
		t.Errorf("%+v %+v", a, b)
	}
	in.Operations = []kmstypes.GrantOperation{"Sign"}
	refused(c.kms.CreateGrant(t.Context(), &in))(t, "ValidationException")
}

func testListGrants(t *testing.T, c *client) {
	k := c.symmetric(t)
	var want, got []string
	for range 3 {
		want = append(want, *c.decryptGrant(t, k.KeyId).GrantId)
	}
	p := kms.NewListGrantsPaginator(c.kms, &kms.ListGrantsInput{KeyId: k.KeyId, Limit: new(int32(2))})
	for p.HasMorePages() {
		for _, g := range must(p.NextPage(t.Context()))(t).Grants {
			got = append(got, *g.GrantId)
			if *g.KeyId != *k.Arn || *g.GranteePrincipal != seed.Root(c.account) || *g.IssuingAccount != seed.Root(c.account) || *g.Name != "" || g.CreationDate == nil {
				t.Errorf("%+v", g)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func testListRetirableGrants(t *testing.T, c *client) {
	k := c.symmetric(t)
	made := c.decryptGrant(t, k.KeyId)
	got := must(c.kms.ListRetirableGrants(t.Context(), &kms.ListRetirableGrantsInput{RetiringPrincipal: new(seed.Root(c.account))}))(t).Grants
	if len(got) != 1 || *got[0].GrantId != *made.GrantId || *got[0].KeyId != *k.Arn {
		t.Errorf("%+v", got)
	}
}

func testRetireGrant(t *testing.T, c *client) {
	k := c.symmetric(t)
	byToken, byID := c.decryptGrant(t, k.KeyId), c.decryptGrant(t, k.KeyId)
	must(c.kms.RetireGrant(t.Context(), &kms.RetireGrantInput{GrantToken: byToken.GrantToken}))(t)
	must(c.kms.RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: k.Arn, GrantId: byID.GrantId}))(t)
	if c.has(t, *k.KeyId, *byToken.GrantId) || c.has(t, *k.KeyId, *byID.GrantId) {
		t.Error("a grant is still there")
	}
}

func testRevokeGrant(t *testing.T, c *client) {
	k := c.symmetric(t)
	g := c.decryptGrant(t, k.KeyId)
	refused(c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: g.GrantId, DryRun: new(true)}))(t, "DryRunOperationException")
	if !c.has(t, *k.KeyId, *g.GrantId) {
		t.Error("a dry run revoked the grant")
	}
	must(c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: g.GrantId}))(t)
	refused(c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: g.GrantId}))(t, "NotFoundException")
}

func (c *client) rotation(t *testing.T, key *string) *kms.GetKeyRotationStatusOutput {
	t.Helper()
	return must(c.kms.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: key}))(t)
}

func testGetKeyRotationStatus(t *testing.T, c *client) {
	k := c.symmetric(t)
	if out := c.rotation(t, k.KeyId); out.KeyRotationEnabled || out.NextRotationDate != nil || *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
	if out := c.rotation(t, c.newKey(t, "HMAC_256", "GENERATE_VERIFY_MAC").KeyId); out.KeyRotationEnabled {
		t.Errorf("%+v", out)
	}
	refused(c.kms.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: c.external(t).KeyId}))(t, "UnsupportedOperationException",
		"origin is EXTERNAL which is not valid for this operation.")
}

func testEnableKeyRotation(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: k.KeyId, RotationPeriodInDays: new(int32(90))}))(t)
	if out := c.rotation(t, k.KeyId); !out.KeyRotationEnabled || *out.RotationPeriodInDays != 90 || time.Until(*out.NextRotationDate).Round(24*time.Hour) != 90*24*time.Hour {
		t.Errorf("%+v", out)
	}
}

func testDisableKeyRotation(t *testing.T, c *client) {
	k := c.symmetric(t)
	must(c.kms.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: k.KeyId}))(t)
	must(c.kms.DisableKeyRotation(t.Context(), &kms.DisableKeyRotationInput{KeyId: k.KeyId}))(t)
	if out := c.rotation(t, k.KeyId); out.KeyRotationEnabled {
		t.Errorf("%+v", out)
	}
}

func testRotateKeyOnDemand(t *testing.T, c *client) {
	k := c.symmetric(t)
	old := must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("old")}))(t).CiphertextBlob
	if out := must(c.kms.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}))(t); *out.KeyId != *k.Arn {
		t.Errorf("%+v", out)
	}
	if m := c.describe(t, k.KeyId); *m.CurrentKeyMaterialId == *k.CurrentKeyMaterialId {
		t.Error("the same material")
	}
	if out := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: old}))(t); string(out.Plaintext) != "old" || *out.KeyMaterialId != *k.CurrentKeyMaterialId {
		t.Errorf("%+v", out)
	}
}

func testListKeyRotations(t *testing.T, c *client) {
	k := c.symmetric(t)
	for range 3 {
		must(c.kms.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}))(t)
	}
	p := kms.NewListKeyRotationsPaginator(c.kms, &kms.ListKeyRotationsInput{KeyId: k.KeyId, IncludeKeyMaterial: kmstypes.IncludeKeyMaterialAllKeyMaterial, Limit: new(int32(3))})
	n := 0
	for p.HasMorePages() {
		for _, r := range must(p.NextPage(t.Context()))(t).Rotations {
			n++
			if *r.KeyId != *k.KeyId || (r.RotationType == kmstypes.RotationTypeOnDemand) != (*r.KeyMaterialId != *k.CurrentKeyMaterialId) {
				t.Errorf("%+v", r)
			}
		}
	}
	if n != 4 {
		t.Errorf("%d materials, want 4", n)
	}
}

func (c *client) multiRegion(t *testing.T) *kmstypes.KeyMetadata {
	t.Helper()
	return must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: new(true)}))(t).KeyMetadata
}

const elsewhere = "eu-west-1"

func testReplicateKey(t *testing.T, c *client) {
	k := c.multiRegion(t)
	out := must(c.kms.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: k.KeyId, ReplicaRegion: new(elsewhere)}))(t)
	if m := out.ReplicaKeyMetadata; *m.KeyId != *k.KeyId || m.KeyState != kmstypes.KeyStateCreating || m.MultiRegionConfiguration.MultiRegionKeyType != kmstypes.MultiRegionKeyTypeReplica {
		t.Errorf("%+v", m)
	}
	blob := must(c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("both")}))(t).CiphertextBlob
	if got := must(c.in(elsewhere).kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: blob, KeyId: k.KeyId}))(t); string(got.Plaintext) != "both" {
		t.Errorf("%q", got.Plaintext)
	}
	refused(c.kms.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: k.KeyId, ReplicaRegion: new(elsewhere)}))(t, "AlreadyExistsException")
}

func testUpdatePrimaryRegion(t *testing.T, c *client) {
	k := c.multiRegion(t)
	must(c.kms.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: k.KeyId, ReplicaRegion: new(elsewhere)}))(t)
	must(c.kms.UpdatePrimaryRegion(t.Context(), &kms.UpdatePrimaryRegionInput{KeyId: k.KeyId, PrimaryRegion: new(elsewhere)}))(t)
	if m := c.describe(t, k.KeyId).MultiRegionConfiguration; *m.PrimaryKey.Region != elsewhere || m.MultiRegionKeyType != kmstypes.MultiRegionKeyTypeReplica {
		t.Errorf("%+v", m)
	}
}
