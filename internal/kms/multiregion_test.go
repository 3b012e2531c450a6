package kms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/trail"
)

const (
	eu   = "eu-west-1"
	asia = "ap-northeast-1"
)

// multi makes a multi-Region primary key with replicas and returns its ARN.
func (c *who) multi(replicas ...string) string {
	c.w.t.Helper()
	key := *c.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true)}).Arn
	for _, r := range replicas {
		c.must(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: &r})
	}
	return key
}

func inRegion(keyARN, region string) string { return arn.KMSKey(region, owner, id(keyARN)) }

// configuration is what the metadata of related keys says.
func configuration(kind, key, primary string, replicas ...string) *kmsapi.MultiRegionConfiguration {
	at := func(r string) kmsapi.MultiRegionKey {
		return kmsapi.MultiRegionKey{Arn: new(inRegion(key, r)), Region: &r}
	}
	c := &kmsapi.MultiRegionConfiguration{MultiRegionKeyType: &kind, PrimaryKey: new(at(primary)), ReplicaKeys: []kmsapi.MultiRegionKey{}}
	for _, r := range replicas {
		c.ReplicaKeys = append(c.ReplicaKeys, at(r))
	}
	return c
}

func (c *who) wantConfiguration(key string, want *kmsapi.MultiRegionConfiguration) {
	c.w.t.Helper()
	m := c.describe(key)
	if d := cmp.Diff(want, m.MultiRegionConfiguration); d != "" || !*m.MultiRegion {
		c.w.t.Errorf("%s: %s", key, d)
	}
}

func TestReplicateKey(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	m := root.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true), Description: new("d"), Tags: tags("a", "b")})
	key := *m.Arn
	if !strings.HasPrefix(*m.KeyId, "mrk-") || len(*m.KeyId) != 36 {
		t.Errorf("the id is %s", *m.KeyId)
	}
	root.wantConfiguration(key, configuration("PRIMARY", key, region))
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(200))})
	root.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key})
	out := get[kmsapi.ReplicateKeyResponse](root, &kmsapi.ReplicateKeyRequest{KeyId: m.KeyId, ReplicaRegion: new(eu), Description: new("copy"), Tags: tags("c", "d")})
	r := out.ReplicaKeyMetadata
	if *r.Arn != inRegion(key, eu) || *r.KeyId != *m.KeyId || *r.KeyState != "Creating" || *r.Enabled || r.CurrentKeyMaterialId != nil || *r.Description != "copy" {
		t.Errorf("the replica is %+v", r)
	}
	if len(out.ReplicaTags) != 1 || *out.ReplicaTags[0].TagKey != "c" || !strings.Contains(*out.ReplicaPolicy, "Enable IAM User Permissions") {
		t.Errorf("tags %v, policy %s", out.ReplicaTags, *out.ReplicaPolicy)
	}
	there := root.in(eu)
	got := there.describe(*m.KeyId)
	if *got.KeyState != "Enabled" || *got.CurrentKeyMaterialId != root.material(key) || *got.Description != "copy" || *got.KeySpec != *m.KeySpec {
		t.Errorf("later the replica is %+v", got)
	}
	there.wantConfiguration(*r.Arn, configuration("REPLICA", key, region, eu))
	root.wantConfiguration(key, configuration("PRIMARY", key, region, eu))
	there.wantRotation(*r.Arn, 200)
	if d := cmp.Diff([]string{"ON_DEMAND"}, there.kinds(*r.Arn)); d != "" {
		t.Error(d)
	}
	if plain := get[kmsapi.ReplicateKeyResponse](root, &kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new(asia)}); plain.ReplicaTags == nil || len(plain.ReplicaTags) != 0 {
		t.Errorf("tags of a replica without tags: %#v", plain.ReplicaTags)
	}
	there.wantConfiguration(*r.Arn, configuration("REPLICA", key, region, eu, asia))
	root.in(asia).wantConfiguration(inRegion(key, asia), configuration("REPLICA", key, region, eu, asia))
}

// Related keys read each other's ciphertexts, and are keys of their own in everything else.
func TestRelatedKeysShareMaterial(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi(eu)
	there, twin := root.in(eu), inRegion(key, eu)
	here, yonder := root.encrypt(key, "here", map[string]string{"a": "1"}), there.encrypt(twin, "there", nil)
	if got := get[kmsapi.DecryptResponse](there, &kmsapi.DecryptRequest{CiphertextBlob: here, EncryptionContext: map[string]string{"a": "1"}}); string(got.Plaintext) != "here" || *got.KeyId != twin {
		t.Errorf("there: %d bytes by %s", len(got.Plaintext), *got.KeyId)
	}
	wantErr(t, there.try(&kmsapi.DecryptRequest{CiphertextBlob: here}), "InvalidCiphertextException", "")
	if got := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: yonder, KeyId: &key}); string(got.Plaintext) != "there" || *got.KeyId != key {
		t.Errorf("here: %d bytes by %s", len(got.Plaintext), *got.KeyId)
	}
	there.must(&kmsapi.DisableKeyRequest{KeyId: &twin})
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: yonder})
	wantErr(t, there.try(&kmsapi.DecryptRequest{CiphertextBlob: here, EncryptionContext: map[string]string{"a": "1"}}), "DisabledException", twin+" is disabled.")
	there.must(&kmsapi.PutKeyPolicyRequest{KeyId: &twin, Policy: new(document(rootStatement(owner), allow(arn.Root(other), "", "kms:Decrypt")))})
	if got := get[kmsapi.GetKeyPolicyResponse](root, &kmsapi.GetKeyPolicyRequest{KeyId: &key}); strings.Contains(*got.Policy, other) {
		t.Error("the policy of the replica is that of the primary too")
	}

	sign := *root.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true), KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY")}).Arn
	root.must(&kmsapi.ReplicateKeyRequest{KeyId: &sign, ReplicaRegion: new(eu)})
	sig := get[kmsapi.SignResponse](root, &kmsapi.SignRequest{KeyId: &sign, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}).Signature
	there.must(&kmsapi.VerifyRequest{KeyId: new(id(sign)), Message: []byte("m"), Signature: sig, SigningAlgorithm: new("ECDSA_SHA_256")})
}

// Rotation is the primary's, for all.
func TestRelatedKeysRotateTogether(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi(eu, asia)
	there, twin := root.in(eu), inRegion(key, eu)
	old := there.encrypt(twin, "old", nil)
	for _, in := range []any{
		&kmsapi.EnableKeyRotationRequest{KeyId: &twin}, &kmsapi.DisableKeyRotationRequest{KeyId: &twin}, &kmsapi.RotateKeyOnDemandRequest{KeyId: &twin},
	} {
		wantErr(t, there.try(in), "UnsupportedOperationException", twin+" is not a multi-region primary key.")
	}
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	there.wantRotation(twin, 90)
	root.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &key})
	w.advance(90*day + time.Second)
	for _, c := range []*who{root, there, root.in(asia)} {
		if d := cmp.Diff([]string{"ON_DEMAND", "AUTOMATIC"}, c.kinds(id(key))); d != "" {
			t.Errorf("%s: %s", c.region, d)
		}
		if m := c.material(id(key)); m != root.material(key) {
			t.Errorf("%s has material %s", c.region, m)
		}
		c.must(&kmsapi.DecryptRequest{CiphertextBlob: old})
	}
	there.must(&kmsapi.DecryptRequest{CiphertextBlob: root.encrypt(key, "new", nil)})
	if n := len(w.records(trail.Filter{Account: owner, EventName: "SynchronizeMultiRegionKey"})); n != 2 {
		t.Errorf("%d records of synchronization", n)
	}
	root.must(&kmsapi.DisableKeyRotationRequest{KeyId: &key})
	there.wantNoRotation(twin)
}

func TestUpdatePrimaryRegion(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi(eu, asia)
	there, twin := root.in(eu), inRegion(key, eu)
	root.must(&kmsapi.EnableKeyRotationRequest{KeyId: &key, RotationPeriodInDays: new(int32(90))})
	root.must(&kmsapi.UpdatePrimaryRegionRequest{KeyId: &key, PrimaryRegion: new(eu)})
	there.wantConfiguration(twin, configuration("PRIMARY", key, eu, region, asia))
	root.wantConfiguration(key, configuration("REPLICA", key, eu, region, asia))
	root.in(asia).wantConfiguration(id(key), configuration("REPLICA", key, eu, region, asia))
	wantErr(t, root.try(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new("eu-north-1")}), "UnsupportedOperationException", key+" is not a multi-region primary key.")
	w.advance(91 * day)
	if d := cmp.Diff([]string{"AUTOMATIC"}, root.kinds(key)); d != "" {
		t.Error(d)
	}
	there.must(&kmsapi.RotateKeyOnDemandRequest{KeyId: &twin})
	for name, tt := range map[string]struct {
		c             *who
		key, to, code string
	}{
		"from a replica":      {root, key, asia, "UnsupportedOperationException"},
		"to itself":           {there, twin, eu, "ValidationException"},
		"to no replica":       {there, twin, "eu-north-1", "NotFoundException"},
		"a single-Region key": {root, root.newKey(), eu, "UnsupportedOperationException"},
	} {
		w.run(name, func(t *testing.T) {
			wantErr(t, tt.c.try(&kmsapi.UpdatePrimaryRegionRequest{KeyId: &tt.key, PrimaryRegion: &tt.to}), tt.code, "*")
		})
	}
}

func TestReplicateKeyRefuses(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, single := root.multi(eu), root.newKey()
	for name, tt := range map[string]struct {
		c                      *who
		key, to, code, message string
	}{
		"twice":             {root, key, eu, "AlreadyExistsException", "*"},
		"its own Region":    {root, key, region, "AlreadyExistsException", "*"},
		"a replica":         {root.in(eu), inRegion(key, eu), asia, "UnsupportedOperationException", inRegion(key, eu) + " is not a multi-region primary key."},
		"single-Region":     {root, single, eu, "UnsupportedOperationException", single + " is not a multi-region primary key."},
		"another partition": {root, key, "cn-north-1", "ValidationException", "*"},
		"no Region":         {root, key, "x", "ValidationException", "*"},
		"an alias":          {root, "alias/a", eu, "InvalidArnException", "Key Aliases are not supported for this operation."},
	} {
		w.run(name, func(t *testing.T) {
			wantErr(t, tt.c.try(&kmsapi.ReplicateKeyRequest{KeyId: &tt.key, ReplicaRegion: &tt.to}), tt.code, tt.message)
		})
	}
	wantErr(t, root.try(&kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: new(asia), Policy: new(document(allow(arn.Root(owner), "", "kms:Decrypt")))}),
		"MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	root.wantConfiguration(key, configuration("PRIMARY", key, region, eu))
	if got := get[kmsapi.ListKeysResponse](root.in(asia), &kmsapi.ListKeysRequest{}); len(got.Keys) != 0 {
		t.Errorf("%d keys were made", len(got.Keys))
	}
}

// A replica takes kms:ReplicateKey on the primary and kms:CreateKey in the replica's Region, and
// both are on record.
func TestReplicateKeyIsDecidedInBothRegions(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi()
	user := w.user(owner, "u", document(
		statement("Allow", "", `{"StringEquals":{"kms:ReplicaRegion":["eu-west-1","ap-northeast-1"]}}`, "kms:ReplicateKey"),
		statement("Allow", "", `{"StringEquals":{"aws:RequestedRegion":"eu-west-1","kms:MultiRegionKeyType":"REPLICA"}}`, "kms:CreateKey")))
	ask := func(region string) *kmsapi.ReplicateKeyRequest {
		return &kmsapi.ReplicateKeyRequest{KeyId: &key, ReplicaRegion: &region}
	}
	wantDenied(t, user.try(ask("eu-north-1")), user, "kms:ReplicateKey", key, noIdentity("kms:ReplicateKey"))
	wantDenied(t, user.try(ask(asia)), user, "kms:CreateKey", "*", noIdentity("kms:CreateKey"))
	user.must(ask(eu))
	tagged := ask(asia)
	tagged.Tags = tags("a", "b")
	wantErr(t, user.try(tagged), "AccessDeniedException", "*")
	made := w.records(trail.Filter{Account: owner, EventName: "CreateKey"})
	var regions []string
	for _, r := range made {
		if r.ErrorCode == "" {
			regions = append(regions, r.AWSRegion)
		}
	}
	if d := cmp.Diff([]string{eu, region}, regions); d != "" {
		t.Error(d)
	}
	asked := w.records(trail.Filter{Account: owner, EventName: "ReplicateKey"})
	if len(asked) != 4 || asked[0].AWSRegion != region {
		t.Errorf("%d records of ReplicateKey", len(asked))
	}
	they := w.user(other, "they", iam("*", "kms:*"))
	root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner), allow(arn.Root(other), "", "kms:*")))})
	wantHidden(t, they.try(ask(asia)), they, "kms:ReplicateKey")
}

// The primary key goes last: its waiting period begins when its last replica is gone.
func TestDeletionOfRelatedKeys(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi(eu, asia)
	old := root.encrypt(key, "x", nil)
	out := get[kmsapi.ScheduleKeyDeletionResponse](root, &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(10))})
	if *out.KeyState != "PendingReplicaDeletion" || out.DeletionDate != nil || *out.PendingWindowInDays != 10 {
		t.Errorf("ScheduleKeyDeletion answered %+v", out)
	}
	m := root.describe(key)
	if *m.KeyState != "PendingReplicaDeletion" || m.DeletionDate != nil || *m.PendingDeletionWindowInDays != 10 || *m.Enabled {
		t.Errorf("the primary is %+v", m)
	}
	wantErr(t, root.try(&kmsapi.DecryptRequest{CiphertextBlob: old}), "KMSInvalidStateException", key+" is pending replica deletion.")
	root.must(&kmsapi.CancelKeyDeletionRequest{KeyId: &key})
	if m := root.describe(key); *m.KeyState != "Disabled" || m.PendingDeletionWindowInDays != nil {
		t.Errorf("after cancelling the primary is %s", *m.KeyState)
	}
	root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(10))})
	w.advance(40 * day)
	if m := root.describe(key); *m.KeyState != "PendingReplicaDeletion" {
		t.Errorf("with replicas the primary is %s", *m.KeyState)
	}
	root.in(eu).must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: new(id(key)), PendingWindowInDays: new(int32(7))})
	w.advance(7*day + time.Second)
	wantErr(t, root.in(eu).try(&kmsapi.DescribeKeyRequest{KeyId: new(id(key))}), "NotFoundException", "*")
	root.wantConfiguration(key, configuration("PRIMARY", key, region, asia))
	root.in(asia).must(&kmsapi.DecryptRequest{CiphertextBlob: old})
	root.in(asia).must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: new(id(key)), PendingWindowInDays: new(int32(7))})
	w.advance(7*day + time.Second)
	if m := root.describe(key); *m.KeyState != "PendingDeletion" || m.DeletionDate == nil || m.PendingDeletionWindowInDays != nil {
		t.Errorf("without replicas the primary is %+v", m)
	}
	w.advance(9 * day)
	root.describe(key)
	w.advance(2 * day)
	wantErr(t, root.try(&kmsapi.DescribeKeyRequest{KeyId: &key}), "NotFoundException", "*")
	if found := w.holds(id(key)); found != nil {
		t.Errorf("the keys are still in %v", found)
	}
}

func TestConditionKeysOfMultiRegionKeys(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.multi(eu)
	for i, tt := range []struct {
		c               *who
		key, value, not string
	}{
		{root, "kms:MultiRegion", "true", "false"}, {root, "kms:MultiRegionKeyType", "PRIMARY", "REPLICA"}, {root.in(eu), "kms:MultiRegionKeyType", "REPLICA", "PRIMARY"},
	} {
		w.run(tt.key+tt.value, func(t *testing.T) {
			name := "u" + string(rune('a'+i))
			user := w.user(owner, name, document(statement("Allow", "", condition(tt.key, tt.value), "kms:DescribeKey"), statement("Allow", "", condition(tt.key, tt.not), "kms:GetKeyPolicy"))).in(tt.c.region)
			user.describe(id(key))
			wantErr(t, user.try(&kmsapi.GetKeyPolicyRequest{KeyId: new(id(key))}), "AccessDeniedException", "*")
		})
	}
	maker := w.user(owner, "maker", document(statement("Allow", "", condition("kms:MultiRegionKeyType", "PRIMARY"), "kms:CreateKey")))
	maker.must(&kmsapi.CreateKeyRequest{MultiRegion: new(true)})
	wantErr(t, maker.try(&kmsapi.CreateKeyRequest{}), "AccessDeniedException", "*")
	mover := w.user(owner, "mover", document(statement("Allow", "", condition("kms:PrimaryRegion", eu), "kms:UpdatePrimaryRegion")))
	wantErr(t, mover.try(&kmsapi.UpdatePrimaryRegionRequest{KeyId: &key, PrimaryRegion: new(asia)}), "AccessDeniedException", "*")
	mover.must(&kmsapi.UpdatePrimaryRegionRequest{KeyId: &key, PrimaryRegion: new(eu)})
}

func TestCustomIDsOfMultiRegionKeys(t *testing.T) {
	root := newWorld(t).root(owner)
	const multi = "mrk-1234abcd12ab34cd56ef1234567890ab"
	if m := root.createKey(&kmsapi.CreateKeyRequest{MultiRegion: new(true), Tags: tags("_custom_id_", multi)}); *m.KeyId != multi {
		t.Errorf("the id is %s", *m.KeyId)
	}
	wantErr(t, root.try(&kmsapi.CreateKeyRequest{Tags: tags("_custom_id_", multi)}), "ValidationException", "*")
	wantErr(t, root.try(&kmsapi.CreateKeyRequest{MultiRegion: new(true), Tags: tags("_custom_id_", missing)}), "ValidationException", "*")
}
