package kms_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/trail"
)

// The statements of the seed page. Sources: reference/seed-behaviours.md; EC2 Auto Scaling User
// Guide, "Required AWS KMS key policy for use with encrypted volumes".
var useActions = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}

const forAWSResource = `{"Bool":{"kms:GrantIsForAWSResource":true}}`

var eightOperations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
}

// uses are the requests of useActions, each for a key and a ciphertext of it.
func uses(key string, blob []byte) map[string]any {
	return map[string]any{
		"Encrypt":                         &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")},
		"Decrypt":                         &kmsapi.DecryptRequest{CiphertextBlob: blob},
		"ReEncrypt":                       &kmsapi.ReEncryptRequest{CiphertextBlob: blob, DestinationKeyId: &key},
		"GenerateDataKey":                 &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256")},
		"GenerateDataKeyWithoutPlaintext": &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &key, KeySpec: new("AES_256")},
		"DescribeKey":                     &kmsapi.DescribeKeyRequest{KeyId: &key},
	}
}

// S3: the AWS managed key needs no authorization of the customer's, and works through EC2 only.
func TestManagedKeyThroughEC2Only(t *testing.T) {
	w := newWorld(t)
	slr := w.session(w.autoScaling(owner), "AutoScaling")
	in := &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: new("alias/aws/ebs"), NumberOfBytes: new(int32(64)), EncryptionContext: map[string]string{"aws:ebs:id": "vol-1"}}
	// Nobody used it yet and a direct call does not make it.
	wantErr(t, slr.try(in), "NotFoundException", "Alias "+arn.KMSAlias(region, owner, "alias/aws/ebs")+" is not found.")
	out := get[kmsapi.GenerateDataKeyWithoutPlaintextResponse](slr.via("ec2.amazonaws.com"), in)
	key := *out.KeyId
	wantDenied(t, slr.try(in), slr, "kms:GenerateDataKeyWithoutPlaintext", key, noResource("kms:GenerateDataKeyWithoutPlaintext"))
	user := w.user(owner, "admin", iam("*", "kms:*"))
	wantDenied(t, user.try(in), user, "kms:GenerateDataKeyWithoutPlaintext", key, noResource("kms:GenerateDataKeyWithoutPlaintext"))
	foreigner := w.root(other).via("ec2.amazonaws.com")
	wantHidden(t, foreigner.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), foreigner, "kms:Encrypt")

	m := w.root(owner).describe("alias/aws/ebs")
	if *m.Arn != key || *m.KeyManager != "AWS" || *m.Description != "Default key that protects my EBS volumes when no other key is defined" {
		t.Errorf("managed key is %s by %s: %s", *m.Arn, *m.KeyManager, *m.Description)
	}
}

// S16: the first statement allows the operations listed, and no others, without any IAM policy.
func TestFirstStatementAllowsUse(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(owner, "/", "app")
	app := w.session(role, "s")
	key := *root.createKey(&kmsapi.CreateKeyRequest{Policy: new(document(allow(arn.Root(owner), "", "kms:PutKeyPolicy", "kms:Encrypt", "kms:CreateGrant"), allow(role.ARN(), "", useActions...)))}).Arn
	for name, in := range uses(key, root.encrypt(key, "secret", nil)) {
		if err := app.try(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	others := map[string]any{
		"kms:PutKeyPolicy":        &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner)))},
		"kms:ScheduleKeyDeletion": &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key},
		"kms:ListGrants":          &kmsapi.ListGrantsRequest{KeyId: &key},
		"kms:CreateGrant":         &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(role.ARN()), Operations: []string{"Decrypt"}},
	}
	for action, in := range others {
		reason := noResource(action)
		if slices.Contains([]string{"kms:PutKeyPolicy", "kms:CreateGrant"}, action) {
			reason = noIdentity(action) // the policy names the account for these
		}
		wantDenied(t, app.try(in), app, action, key, reason)
	}
	// "Resource": "*" means this key only.
	second := root.newKey()
	wantDenied(t, app.try(&kmsapi.DescribeKeyRequest{KeyId: &second}), app, "kms:DescribeKey", second, noIdentity("kms:DescribeKey"))
}

// S18: the second statement is for grants that a service makes, however its value is written.
func TestGrantIsForAWSResource(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(owner, "/", "app")
	app := w.session(role, "s")
	for value, viaService := range map[string]bool{`true`: true, `"true"`: true, `false`: false, `"false"`: false} {
		w.run(value, func(t *testing.T) {
			key := root.newKey(allow(role.ARN(), `{"Bool":{"kms:GrantIsForAWSResource":`+value+`}}`, "kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"))
			grant := attachGrant(root, key)
			for action, in := range map[string]any{
				"kms:CreateGrant": &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(role.ARN()), Operations: []string{"Decrypt"}},
				"kms:ListGrants":  &kmsapi.ListGrantsRequest{KeyId: &key},
				"kms:RevokeGrant": &kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: &grant, DryRun: new(true)},
			} {
				allowed, denied := app, app.via("ec2.amazonaws.com")
				if viaService {
					allowed, denied = denied, allowed
				}
				wantDenied(t, denied.try(in), app, action, key, noIdentity(action))
				if err := allowed.try(in); action == "kms:RevokeGrant" {
					wantErr(t, err, "DryRunOperationException", dryRun)
				} else if err != nil {
					t.Errorf("%s: %v", action, err)
				}
			}
		})
	}
}

// attachGrant makes the grant of an attached volume as EC2 does for its caller, and returns its id.
func attachGrant(c *who, key string) string {
	c.w.t.Helper()
	return *get[kmsapi.CreateGrantResponse](c.via("ec2.amazonaws.com"), &kmsapi.CreateGrantRequest{
		KeyId: &key, GranteePrincipal: new(arn.InfrastructureSession(c.caller.Principal.Account, "i-1")),
		RetiringPrincipal: new("ec2." + region + ".amazonaws.com"), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:ebs:id": "vol-1"}},
	}).GrantId
}

// S17: the grant of an attached volume lets its instance decrypt that volume's key and no other,
// and EC2 retires it.
func TestAttachGrant(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.autoScaling(owner)
	key := root.newKey(allow(role.ARN(), "", useActions...), allow(role.ARN(), forAWSResource, "kms:CreateGrant"))
	slr := w.session(role, "AutoScaling")
	volume := func(id string) map[string]string { return map[string]string{"aws:ebs:id": id} }
	blob := func(vol string) []byte {
		return get[kmsapi.GenerateDataKeyWithoutPlaintextResponse](slr.via("ec2.amazonaws.com"), &kmsapi.GenerateDataKeyWithoutPlaintextRequest{
			KeyId: &key, NumberOfBytes: new(int32(64)), EncryptionContext: volume(vol),
		}).CiphertextBlob
	}
	first, second := blob("vol-1"), blob("vol-2")
	grant := attachGrant(slr, key)

	grants := get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key}).Grants
	want := []kmsapi.GrantListEntry{{
		KeyId: &key, GrantId: &grant, Name: new(""), CreationDate: grants[0].CreationDate,
		GranteePrincipal:  new(arn.InfrastructureSession(owner, "i-1")),
		RetiringPrincipal: new("ec2." + region + ".amazonaws.com"), IssuingAccount: new(arn.Root(owner)), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: volume("vol-1")},
	}}
	if d := cmp.Diff(want, grants); d != "" {
		t.Error(d)
	}
	instance := w.instance(owner, "i-1")
	out := get[kmsapi.DecryptResponse](instance, &kmsapi.DecryptRequest{CiphertextBlob: first, EncryptionContext: volume("vol-1")})
	if len(out.Plaintext) != 64 || *out.KeyId != key {
		t.Errorf("the instance got %d bytes of %s", len(out.Plaintext), *out.KeyId)
	}
	for name, err := range map[string]error{
		"another volume":   instance.try(&kmsapi.DecryptRequest{CiphertextBlob: second, EncryptionContext: volume("vol-2")}),
		"another instance": w.instance(owner, "i-2").try(&kmsapi.DecryptRequest{CiphertextBlob: first, EncryptionContext: volume("vol-1")}),
		"another use":      instance.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: volume("vol-1")}),
	} {
		w.run(name, func(t *testing.T) { wantErr(t, err, "AccessDeniedException", "*") })
	}
	elsewhere := w.service("ec2.eu-central-1.amazonaws.com")
	wantErr(t, elsewhere.try(&kmsapi.RetireGrantRequest{KeyId: &key, GrantId: &grant}), "AccessDeniedException", "*")
	w.service("ec2." + region + ".amazonaws.com").must(&kmsapi.RetireGrantRequest{KeyId: &key, GrantId: &grant})
	wantErr(t, instance.try(&kmsapi.DecryptRequest{CiphertextBlob: first, EncryptionContext: volume("vol-1")}), "AccessDeniedException", "*")
}

// exampleTwo is a key of owner whose policy lets account other use it and make grants (P3 and P4).
func exampleTwo(w *world, condition string) string {
	return w.root(owner).newKey(allow(arn.Root(other), "", useActions...), allow(arn.Root(other), condition, "kms:CreateGrant"))
}

// S25: an account's access gives its users nothing until its own IAM does.
func TestAccountAccessIsDelegated(t *testing.T) {
	w := newWorld(t)
	key := exampleTwo(w, "")
	bare := w.user(other, "bare")
	describe := &kmsapi.DescribeKeyRequest{KeyId: &key}
	wantDenied(t, bare.try(describe), bare, "kms:DescribeKey", key, noIdentity("kms:DescribeKey"))
	wantDenied(t, bare.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), bare, "kms:Encrypt", key, noIdentity("kms:Encrypt"))
	one := w.user(other, "one", iam(key, "kms:DescribeKey"))
	one.must(describe)
	wantDenied(t, one.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), one, "kms:Encrypt", key, noIdentity("kms:Encrypt"))
	stranger := w.user(third, "stranger", iam("*", "kms:*"))
	wantHidden(t, stranger.try(describe), stranger, "kms:DescribeKey")
	w.root(other).must(describe)
	wantHidden(t, w.root(third).try(describe), w.root(third), "kms:DescribeKey")
	ours := w.user(owner, "ours")
	wantDenied(t, ours.try(describe), ours, "kms:DescribeKey", key, noIdentity("kms:DescribeKey"))
}

// seedGrant is the page's create-grant command.
func seedGrant(key string, role directory.Role) *kmsapi.CreateGrantRequest {
	return &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(role.ARN()), Operations: eightOperations}
}

// S24, S26, S27: the page's grant works with the statement as printed and not with the condition;
// it is what makes the service-linked role of the other account work.
func TestSeedGrant(t *testing.T) {
	w := newWorld(t)
	role := w.autoScaling(other)
	slr := w.session(role, "AutoScaling").via("ec2.amazonaws.com")
	requester := w.user(other, "requester", iam("*", "kms:CreateGrant"))
	conditional := exampleTwo(w, forAWSResource)
	wantHidden(t, requester.try(seedGrant(conditional, role)), requester, "kms:CreateGrant")

	key := exampleTwo(w, "")
	use := &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &key, NumberOfBytes: new(int32(64))}
	wantDenied(t, slr.try(use), slr, "kms:GenerateDataKeyWithoutPlaintext", key, noIdentity("kms:GenerateDataKeyWithoutPlaintext"))
	out := get[kmsapi.CreateGrantResponse](requester, seedGrant(key, role))
	slr.must(use)
	for name, in := range uses(key, w.root(owner).encrypt(key, "x", nil)) {
		if err := slr.try(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	instance := w.instance(other, "i-1")
	attachGrant(slr, key)
	ctx := map[string]string{"aws:ebs:id": "vol-1"}
	instance.must(&kmsapi.DecryptRequest{CiphertextBlob: slr.encrypt(key, "x", ctx), EncryptionContext: ctx})

	grants := get[kmsapi.ListGrantsResponse](w.root(owner), &kmsapi.ListGrantsRequest{KeyId: &key, GrantId: out.GrantId}).Grants
	if len(grants) != 1 || *grants[0].GranteePrincipal != role.ARN() || len(grants[0].Operations) != 8 ||
		*grants[0].IssuingAccount != arn.Root(other) || len(*out.GrantId) != 64 || len(*out.GrantToken) == 0 {
		t.Errorf("grant %+v", grants)
	}
	again := get[kmsapi.CreateGrantResponse](requester, seedGrant(key, role))
	if *again.GrantId == *out.GrantId {
		t.Error("without a name the second call found the first grant")
	}
	wantErr(t, requester.try(seedGrant(id(key), role)), "NotFoundException", "Key '"+arn.KMSKey(region, other, id(key))+"' does not exist")
	wantErr(t, requester.in("eu-central-1").try(seedGrant(key, role)), "NotFoundException", "Invalid arn "+region)
	nobody := role
	nobody.Name = "AWSServiceRoleForAutoScaling_none"
	wantErr(t, requester.try(seedGrant(key, nobody)), "InvalidArnException", "*")
}

// S28: what another account does to a key is on record for both.
func TestRecordsInBothAccounts(t *testing.T) {
	w := newWorld(t)
	key := exampleTwo(w, "")
	w.root(other).encrypt(key, "secret", map[string]string{"project": "nile"})
	w.root(owner).encrypt(key, "secret", nil)
	for account, want := range map[string]int{owner: 2, other: 1} {
		recs := w.records(trail.Filter{Account: account, EventName: "Encrypt"})
		if len(recs) != want {
			t.Fatalf("account %s has %d records, want %d", account, len(recs), want)
		}
		r := recs[want-1] // the older one
		if r.UserIdentity.AccountID != other || len(r.Resources) != 1 || r.Resources[0].ARN != key || r.Resources[0].AccountID != owner ||
			r.Resources[0].Type != "AWS::KMS::Key" || r.ErrorCode != "" || r.SharedEventID == "" {
			t.Errorf("record for %s: %+v", account, r)
		}
		if want == 2 && recs[0].SharedEventID != "" {
			t.Error("an event of one account has a shared id")
		}
	}
}

// S29: who may make the page's grant.
func TestWhoMayMakeTheGrant(t *testing.T) {
	w := newWorld(t)
	role := w.autoScaling(other)
	key := exampleTwo(w, "")
	const action = "kms:CreateGrant"
	w.user(other, "allowed", iam(key, action)).must(seedGrant(key, role))
	without := w.user(other, "without")
	wantDenied(t, without.try(seedGrant(key, role)), without, action, key, noIdentity(action))
	elsewhere := w.user(other, "elsewhere", iam(missingARN(owner), action))
	wantDenied(t, elsewhere.try(seedGrant(key, role)), elsewhere, action, key, noIdentity(action))
	closed := w.root(owner).newKey(allow(arn.Root(other), "", useActions...)) // no P4
	allowed := w.user(other, "closed", iam(closed, action))
	wantHidden(t, allowed.try(seedGrant(closed, role)), allowed, action)

	ours := w.user(owner, "ours", iam(key, action))
	out := get[kmsapi.CreateGrantResponse](ours, seedGrant(key, role))
	grants := get[kmsapi.ListGrantsResponse](w.root(owner), &kmsapi.ListGrantsRequest{KeyId: &key, GrantId: out.GrantId}).Grants
	if len(grants) != 1 || *grants[0].IssuingAccount != arn.Root(owner) {
		t.Errorf("grant made by the owner: %+v", grants)
	}
}

// S30: what each part of the grant is for. The role makes a data key, hands Decrypt to the
// instance, and the instance decrypts; a grant that lacks something fails at the step that needs it.
func TestOmissionsOfTheSeedGrant(t *testing.T) {
	volume := map[string]string{"aws:ebs:id": "vol-1"}
	without := func(ops ...string) []string {
		return slices.DeleteFunc(slices.Clone(eightOperations), func(op string) bool { return slices.Contains(ops, op) })
	}
	tests := map[string]struct {
		operations []string
		equals     map[string]string
		denied     string // the first action that is
	}{
		"as printed":                               {eightOperations, nil, ""},
		"no Encrypt, DescribeKey, ReEncrypt":       {without("Encrypt", "DescribeKey", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"), nil, ""},
		"no GenerateDataKeyWithoutPlaintext":       {without("GenerateDataKeyWithoutPlaintext"), nil, "kms:GenerateDataKeyWithoutPlaintext"},
		"no CreateGrant":                           {without("CreateGrant"), nil, "kms:CreateGrant"},
		"no Decrypt: the child would have more":    {without("Decrypt"), nil, "kms:CreateGrant"},
		"another context":                          {eightOperations, map[string]string{"aws:ebs:id": "vol-2"}, "kms:GenerateDataKeyWithoutPlaintext"},
		"exactly this context: child is no subset": {eightOperations, volume, "kms:CreateGrant"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			role := w.autoScaling(other)
			key := exampleTwo(w, "")
			in := seedGrant(key, role)
			in.Operations = tt.operations
			if tt.equals != nil {
				in.Constraints = &kmsapi.GrantConstraints{EncryptionContextEquals: tt.equals}
			}
			w.user(other, "requester", iam(key, "kms:CreateGrant")).grant(in)
			slr := w.session(role, "AutoScaling").via("ec2.amazonaws.com")
			steps := []struct {
				action string
				in     any
			}{
				{"kms:GenerateDataKeyWithoutPlaintext", &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &key, NumberOfBytes: new(int32(64)), EncryptionContext: volume}},
				{"kms:CreateGrant", &kmsapi.CreateGrantRequest{
					KeyId: &key, GranteePrincipal: new(arn.InfrastructureSession(other, "i-1")), RetiringPrincipal: new("ec2." + region + ".amazonaws.com"),
					Operations: []string{"Decrypt"}, Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: volume},
				}},
			}
			for _, step := range steps {
				err := slr.try(step.in)
				if step.action == tt.denied {
					wantDenied(t, err, slr, step.action, key, noIdentity(step.action))
					return
				}
				check(t, err)
			}
			blob := w.root(owner).encrypt(key, "data key", volume)
			w.instance(other, "i-1").must(&kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: volume})
			if tt.denied != "" {
				t.Errorf("%s was allowed", tt.denied)
			}
		})
	}
}

// How a key policy can name somebody, and whom each form means.
func TestPrincipalsOfAKeyPolicy(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(owner, "/team/", "app")
	one, two := w.session(role, "one"), w.session(role, "two")
	user := w.user(owner, "named")
	delegate := w.user(owner, "delegate", iam("*", "kms:DescribeKey"))
	abroad := w.user(other, "abroad", iam("*", "kms:DescribeKey"))
	tests := map[string]struct {
		principal   string
		can, cannot []*who
	}{
		"user":        {user.arn(), []*who{user}, []*who{one, delegate, abroad}},
		"role":        {role.ARN(), []*who{one, two}, []*who{user, abroad}},
		"session":     {one.arn(), []*who{one}, []*who{two, user}},
		"account":     {owner, []*who{delegate, root}, []*who{user, one, abroad}},
		"account ARN": {arn.Root(owner), []*who{delegate, root}, []*who{user, one, abroad}},
		"foreign":     {arn.Root(other), []*who{abroad, w.root(other)}, []*who{user, delegate}},
		"everybody":   {"*", []*who{user, one, abroad, delegate}, []*who{w.user(other, "silent")}},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			key := *root.createKey(&kmsapi.CreateKeyRequest{
				Policy: new(document(allow(tt.principal, "", "kms:DescribeKey"))), BypassPolicyLockoutSafetyCheck: new(true),
			}).Arn
			for _, c := range tt.can {
				if err := c.try(&kmsapi.DescribeKeyRequest{KeyId: &key}); err != nil {
					t.Errorf("%s: %v", c.arn(), err)
				}
			}
			for _, c := range tt.cannot {
				wantErr(t, c.try(&kmsapi.DescribeKeyRequest{KeyId: &key}), "AccessDeniedException", "*")
			}
		})
	}
}
