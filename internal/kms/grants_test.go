package kms_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

func (c *who) grant(in *kmsapi.CreateGrantRequest) *kmsapi.CreateGrantResponse {
	c.w.t.Helper()
	return get[kmsapi.CreateGrantResponse](c, in)
}

func (c *who) grants(key string) []kmsapi.GrantListEntry {
	c.w.t.Helper()
	return get[kmsapi.ListGrantsResponse](c, &kmsapi.ListGrantsRequest{KeyId: &key}).Grants
}

func TestCreateGrantRefuses(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user := w.user(owner, "u").arn()
	key := root.newKey()
	rsa := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("RSA_2048"), KeyUsage: new("ENCRYPT_DECRYPT")}).Arn
	hmac := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")}).Arn
	decrypt := []string{"Decrypt"}
	pairs := func(n int) *kmsapi.GrantConstraints {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint(i)] = ""
		}
		return &kmsapi.GrantConstraints{EncryptionContextSubset: m}
	}
	one := map[string]string{"a": "b"}
	source := &kmsapi.GrantConstraints{SourceArn: new("arn:aws:ec2:us-west-2:444455556666:volume/vol-1")}
	const badPrincipal = "InvalidArnException"
	tests := map[string]struct {
		in            kmsapi.CreateGrantRequest
		code, message string
	}{
		"no operations":     {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: []string{}}, "ValidationException", "*"},
		"unknown operation": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: []string{"ListGrants"}}, "ValidationException", "*"},
		"operation of another spec": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: []string{"Sign"}},
			"ValidationException", "Grant operation Sign is not supported for a KMS key with key spec SYMMETRIC_DEFAULT and key usage ENCRYPT_DECRYPT."},
		"data key of RSA": {kmsapi.CreateGrantRequest{KeyId: &rsa, GranteePrincipal: &user, Operations: []string{"GenerateDataKey"}}, "ValidationException", "*"},
		"decrypt of HMAC": {kmsapi.CreateGrantRequest{KeyId: &hmac, GranteePrincipal: &user, Operations: decrypt}, "ValidationException", "*"},
		"no grantee": {kmsapi.CreateGrantRequest{Operations: decrypt},
			"ValidationException", "1 validation error detected: Value null at 'granteePrincipal' failed to satisfy constraint: Member must not be null"},
		"unknown user":        {kmsapi.CreateGrantRequest{GranteePrincipal: new(arn.User(owner, "/", "none")), Operations: decrypt}, badPrincipal, "*"},
		"unknown role abroad": {kmsapi.CreateGrantRequest{GranteePrincipal: new(arn.Role(other, "/", "none")), Operations: decrypt}, badPrincipal, "*"},
		"group":               {kmsapi.CreateGrantRequest{GranteePrincipal: new("arn:aws:iam::" + owner + ":group/g"), Operations: decrypt}, badPrincipal, "*"},
		"account id":          {kmsapi.CreateGrantRequest{GranteePrincipal: new(other), Operations: decrypt}, badPrincipal, "*"},
		"everybody":           {kmsapi.CreateGrantRequest{GranteePrincipal: new("*"), Operations: decrypt}, "ValidationException", "*"},
		"domain as principal": {kmsapi.CreateGrantRequest{GranteePrincipal: new("ebs.example.com"), Operations: decrypt}, badPrincipal, "*"},
		"unknown retiring":    {kmsapi.CreateGrantRequest{GranteePrincipal: &user, RetiringPrincipal: new(arn.Role(owner, "/", "none")), Operations: decrypt}, badPrincipal, "*"},
		"domain as retiring":  {kmsapi.CreateGrantRequest{GranteePrincipal: &user, RetiringPrincipal: new("ec2.example.com"), Operations: decrypt}, badPrincipal, "*"},
		"two grantees": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, GranteeServicePrincipal: new("ebs.amazonaws.com"), Operations: decrypt},
			"ValidationException", "*"},
		"two retiring": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, RetiringPrincipal: &user, RetiringServicePrincipal: new("ebs.amazonaws.com"), Operations: decrypt},
			"ValidationException", "*"},
		"service without source":   {kmsapi.CreateGrantRequest{GranteeServicePrincipal: new("ebs.amazonaws.com"), RetiringPrincipal: &user, Operations: decrypt}, "ValidationException", "*"},
		"service without retiring": {kmsapi.CreateGrantRequest{GranteeServicePrincipal: new("ebs.amazonaws.com"), Constraints: source, Operations: decrypt}, "ValidationException", "*"},
		"both context constraints": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt,
			Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: one, EncryptionContextSubset: one}}, "ValidationException", "More than one constraint supplied"},
		"nine pairs": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt, Constraints: pairs(9)}, "ValidationException", "*"},
		"long value": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt,
			Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: map[string]string{"a": strings.Repeat("é", 385)}}}, "ValidationException", "*"},
		"context for RSA": {kmsapi.CreateGrantRequest{KeyId: &rsa, GranteePrincipal: &user, Operations: decrypt, Constraints: pairs(1)},
			"ValidationException", "EncryptionContext is supported only when creating a grant for a symmetric encryption KMS key."},
		"short source":  {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt, Constraints: &kmsapi.GrantConstraints{SourceArn: new("arn")}}, "ValidationException", "*"},
		"bad name":      {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt, Name: new("a b")}, "ValidationException", "*"},
		"unknown token": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt, GrantTokens: []string{"AQpAM2RhZ"}}, "InvalidGrantTokenException", ""},
		"eleven tokens": {kmsapi.CreateGrantRequest{GranteePrincipal: &user, Operations: decrypt, GrantTokens: make([]string, 11)}, "ValidationException", "*"},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			if tt.in.KeyId == nil {
				tt.in.KeyId = &key
			}
			wantErr(t, root.try(&tt.in), tt.code, tt.message)
		})
	}
	if n := w.size("kms/grant"); n != 0 {
		t.Errorf("%d grants were made", n)
	}
	root.must(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &user, Operations: decrypt, Constraints: pairs(8)})
	root.must(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &user, Operations: decrypt,
		Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: map[string]string{"a": strings.Repeat("é", 384)}}})
}

// Every operation of a kind of key can be granted, and lists show them in one order.
func TestGrantOperationsOfEachKind(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user := w.user(owner, "u").arn()
	tests := []struct{ spec, usage, operations string }{
		{"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo CreateGrant RetireGrant DescribeKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"},
		{"RSA_2048", "ENCRYPT_DECRYPT", "Decrypt Encrypt ReEncryptFrom ReEncryptTo GetPublicKey CreateGrant RetireGrant DescribeKey"},
		{"ECC_NIST_P256", "SIGN_VERIFY", "Sign Verify GetPublicKey CreateGrant RetireGrant DescribeKey"},
		{"ECC_NIST_P256", "KEY_AGREEMENT", "GetPublicKey CreateGrant RetireGrant DescribeKey DeriveSharedSecret"},
		{"HMAC_256", "GENERATE_VERIFY_MAC", "CreateGrant RetireGrant DescribeKey GenerateMac VerifyMac"},
	}
	for _, tt := range tests {
		w.run(tt.spec+tt.usage, func(t *testing.T) {
			key := *root.createKey(&kmsapi.CreateKeyRequest{KeySpec: &tt.spec, KeyUsage: &tt.usage}).Arn
			want := strings.Fields(tt.operations)
			backwards := append([]string{want[0]}, want...)
			for i, j := 0, len(backwards)-1; i < j; i, j = i+1, j-1 {
				backwards[i], backwards[j] = backwards[j], backwards[i]
			}
			root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &user, Operations: backwards})
			if d := cmp.Diff(want, root.grants(key)[0].Operations); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGrantees(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(other, "/team/", "app")
	user := w.user(other, "u")
	delegate := w.user(other, "delegate", iam("*", "kms:DescribeKey"))
	s1, s2 := w.session(role, "one"), w.session(role, "two")
	tests := map[string]struct {
		grantee     string
		can, cannot []*who
	}{
		"user":    {user.arn(), []*who{user}, []*who{delegate, s1}},
		"role":    {role.ARN(), []*who{s1, s2}, []*who{user}},
		"session": {s1.arn(), []*who{s1}, []*who{s2, user}},
		"account": {arn.Root(other), []*who{w.root(other), delegate}, []*who{user, s1}},
		"instance": {arn.InfrastructureSession(other, "i-1"), []*who{w.instance(other, "i-1")},
			[]*who{w.instance(other, "i-2"), w.instance(owner, "i-1"), user}},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			key := root.newKey()
			root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &tt.grantee, Operations: []string{"DescribeKey"}})
			for _, c := range tt.can {
				if err := c.try(&kmsapi.DescribeKeyRequest{KeyId: &key}); err != nil {
					t.Errorf("usable at once: %v", err)
				}
			}
			for _, c := range tt.cannot {
				wantErr(t, c.try(&kmsapi.DescribeKeyRequest{KeyId: &key}), "AccessDeniedException", "*")
			}
		})
	}
}

func TestGrantConstraints(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	ctx := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	equals := &kmsapi.GrantConstraints{EncryptionContextEquals: ctx("a", "1", "b", "2")}
	subset := &kmsapi.GrantConstraints{EncryptionContextSubset: ctx("a", "1")}
	tests := map[string]struct {
		constraint *kmsapi.GrantConstraints
		context    map[string]string
		allowed    bool
	}{
		"equal":                {equals, ctx("b", "2", "a", "1"), true},
		"more than equal":      {equals, ctx("a", "1", "b", "2", "c", "3"), false},
		"less than equal":      {equals, ctx("a", "1"), false},
		"no context":           {equals, nil, false},
		"same as subset":       {subset, ctx("a", "1"), true},
		"more than subset":     {subset, ctx("a", "1", "z", "9"), true},
		"other value":          {subset, ctx("a", "2"), false},
		"value in other case":  {&kmsapi.GrantConstraints{EncryptionContextSubset: ctx("a", "x")}, ctx("a", "X"), false},
		"no constraint":        {nil, ctx("a", "1"), true},
		"empty is no limit":    {&kmsapi.GrantConstraints{EncryptionContextEquals: ctx()}, ctx("a", "1"), true},
		"empty subset neither": {&kmsapi.GrantConstraints{EncryptionContextSubset: ctx()}, nil, true},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			user := w.user(owner, "u")
			key := root.newKey()
			root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(user.arn()), Constraints: tt.constraint,
				Operations: []string{"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "DescribeKey"}})
			user.must(&kmsapi.DescribeKeyRequest{KeyId: &key}) // constraints do not matter
			blob := root.encrypt(key, "x", tt.context)
			for action, in := range map[string]any{
				"kms:Encrypt": &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: tt.context},
				"kms:Decrypt": &kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: tt.context},
				"kms:ReEncryptFrom": &kmsapi.ReEncryptRequest{CiphertextBlob: blob, SourceEncryptionContext: tt.context,
					DestinationKeyId: &key, DestinationEncryptionContext: tt.context},
			} {
				if err := user.try(in); !tt.allowed {
					wantDenied(t, err, user, action, key, noIdentity(action))
				} else if err != nil {
					t.Errorf("%s: %v", action, err)
				}
			}
		})
	}
}

// The source of a service's request must be that of the grant: how EBS fills a new volume.
func TestServiceGrant(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	volume := arn.EC2(region, owner, "volume/vol-1")
	ctx := map[string]string{"aws:ebs:id": "vol-1"}
	out := root.via("ec2.amazonaws.com").grant(&kmsapi.CreateGrantRequest{
		KeyId: &key, GranteeServicePrincipal: new("ebs.amazonaws.com"), RetiringPrincipal: new("ec2." + region + ".amazonaws.com"),
		Operations: []string{"Decrypt"}, Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: ctx, SourceArn: &volume},
	})
	blob := root.encrypt(key, "data key", ctx)
	ebs := func(service, source string) *who {
		c := w.service(service)
		c.caller.SourceARN, c.caller.SourceAccount = source, owner
		return c
	}
	in := &kmsapi.DecryptRequest{CiphertextBlob: blob, EncryptionContext: ctx}
	ebs("ebs.amazonaws.com", volume).must(in)
	for name, c := range map[string]*who{
		"another volume":  ebs("ebs.amazonaws.com", arn.EC2(region, owner, "volume/vol-2")),
		"no source":       ebs("ebs.amazonaws.com", ""),
		"another service": ebs("rds.amazonaws.com", volume),
	} {
		w.run(name, func(t *testing.T) { wantErr(t, c.try(in), "AccessDeniedException", "*") })
	}
	g := root.grants(key)[0]
	want := kmsapi.GrantListEntry{
		KeyId: &key, GrantId: out.GrantId, Name: new(""), CreationDate: g.CreationDate, GranteeServicePrincipal: new("ebs.amazonaws.com"),
		RetiringPrincipal: new("ec2." + region + ".amazonaws.com"), IssuingAccount: new(arn.Root(owner)), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: ctx, SourceArn: &volume},
	}
	if d := cmp.Diff(want, g); d != "" {
		t.Error(d)
	}
	w.service("ec2." + region + ".amazonaws.com").must(&kmsapi.RetireGrantRequest{GrantToken: out.GrantToken})
	wantErr(t, ebs("ebs.amazonaws.com", volume).try(in), "AccessDeniedException", "*")
}

// Every caller may name a service where the API Reference wants an ARN; grants are listed by it.
func TestGrantNamesAService(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, service := root.newKey(), new("dynamodb.us-west-1.amazonaws.com")
	root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(arn.Root(owner)), Operations: []string{"Decrypt"}})
	made := root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: service, RetiringPrincipal: service, Operations: []string{"Encrypt"}})
	list := get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key, GranteePrincipal: service})
	if len(list.Grants) != 1 {
		t.Fatalf("%d grants, want 1", len(list.Grants))
	}
	g := list.Grants[0]
	if *g.GrantId != *made.GrantId || *g.GranteePrincipal != *service || *g.RetiringPrincipal != *service || g.GranteeServicePrincipal != nil {
		t.Errorf("%+v", g)
	}
	root.must(&kmsapi.RevokeGrantRequest{KeyId: &key, GrantId: made.GrantId})
}

func TestNamedGrantsAreIdempotent(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key, second := root.newKey(), root.newKey()
	a, b := w.user(owner, "a").arn(), w.user(owner, "b").arn()
	base := func(change func(*kmsapi.CreateGrantRequest)) *kmsapi.CreateGrantRequest {
		in := &kmsapi.CreateGrantRequest{
			KeyId: &key, GranteePrincipal: &a, RetiringPrincipal: &b, Operations: []string{"Decrypt", "Encrypt"}, Name: new("n"),
			Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"x": "y", "z": "w"}},
		}
		if change != nil {
			change(in)
		}
		return in
	}
	first := root.grant(base(nil))
	again := root.grant(base(func(in *kmsapi.CreateGrantRequest) { in.Operations = []string{"Encrypt", "Decrypt"} }))
	if *again.GrantId != *first.GrantId || *again.GrantToken == *first.GrantToken {
		t.Errorf("ids equal %t, tokens equal %t", *again.GrantId == *first.GrantId, *again.GrantToken == *first.GrantToken)
	}
	for name, change := range map[string]func(*kmsapi.CreateGrantRequest){
		"name":       func(in *kmsapi.CreateGrantRequest) { in.Name = new("m") },
		"grantee":    func(in *kmsapi.CreateGrantRequest) { in.GranteePrincipal = &b },
		"retiring":   func(in *kmsapi.CreateGrantRequest) { in.RetiringPrincipal = nil },
		"operations": func(in *kmsapi.CreateGrantRequest) { in.Operations = []string{"Decrypt"} },
		"constraint": func(in *kmsapi.CreateGrantRequest) {
			in.Constraints = &kmsapi.GrantConstraints{EncryptionContextEquals: in.Constraints.EncryptionContextSubset}
		},
		"key": func(in *kmsapi.CreateGrantRequest) { in.KeyId = &second },
	} {
		if out := root.grant(base(change)); *out.GrantId == *first.GrantId {
			t.Errorf("another %s found the same grant", name)
		}
	}
	// Either token ends it, and then the name makes a new one.
	root.must(&kmsapi.RetireGrantRequest{GrantToken: again.GrantToken})
	if out := root.grant(base(nil)); *out.GrantId == *first.GrantId {
		t.Error("the name revived a retired grant")
	}
}

// Tokens are accepted wherever AWS takes them and give no right.
func TestGrantTokens(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	grantee, thief := w.user(owner, "grantee"), w.user(owner, "thief")
	token := *root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(grantee.arn()), Operations: []string{"Encrypt"}}).GrantToken
	in := &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), GrantTokens: []string{token}}
	grantee.must(in)
	wantDenied(t, thief.try(in), thief, "kms:Encrypt", key, noIdentity("kms:Encrypt"))
	bad := []string{token[:len(token)-1] + "!"}
	blob := root.encrypt(key, "x", nil)
	for name, in := range map[string]any{
		"Encrypt":         &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), GrantTokens: bad},
		"Decrypt":         &kmsapi.DecryptRequest{CiphertextBlob: blob, GrantTokens: bad},
		"ReEncrypt":       &kmsapi.ReEncryptRequest{CiphertextBlob: blob, DestinationKeyId: &key, GrantTokens: bad},
		"GenerateDataKey": &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256"), GrantTokens: bad},
		"GenerateDataKeyWithoutPlaintext": &kmsapi.GenerateDataKeyWithoutPlaintextRequest{
			KeyId: &key, KeySpec: new("AES_256"), GrantTokens: bad},
		"DescribeKey": &kmsapi.DescribeKeyRequest{KeyId: &key, GrantTokens: bad},
		"RetireGrant": &kmsapi.RetireGrantRequest{GrantToken: &bad[0]},
	} {
		w.run(name, func(t *testing.T) { wantErr(t, root.try(in), "InvalidGrantTokenException", "") })
	}
}

// A grant made by right of a grant cannot give more than that grant has.
func TestChildGrants(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	grantee := w.user(other, "child").arn()
	ctx := func(pairs ...string) *kmsapi.GrantConstraints {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return &kmsapi.GrantConstraints{EncryptionContextSubset: m}
	}
	exactly := func(c *kmsapi.GrantConstraints) *kmsapi.GrantConstraints {
		return &kmsapi.GrantConstraints{EncryptionContextEquals: c.EncryptionContextSubset}
	}
	tests := map[string]struct {
		parent, child           []string
		parentLimit, childLimit *kmsapi.GrantConstraints
		allowed                 bool
	}{
		"fewer operations":    {[]string{"Decrypt", "Encrypt", "CreateGrant"}, []string{"Decrypt"}, nil, nil, true},
		"the same operations": {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt", "CreateGrant"}, nil, nil, true},
		"another operation":   {[]string{"Encrypt", "CreateGrant"}, []string{"Decrypt"}, nil, nil, false},
		"no CreateGrant":      {[]string{"Decrypt"}, []string{"Decrypt"}, nil, nil, false},
		"limit lost":          {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, ctx("a", "1"), nil, false},
		"limit kept":          {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, ctx("a", "1"), ctx("a", "1"), true},
		"limit tightened":     {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, ctx("a", "1"), ctx("a", "1", "b", "2"), true},
		"limit made exact":    {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, ctx("a", "1"), exactly(ctx("a", "1", "b", "2")), true},
		"other limit":         {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, ctx("a", "1"), ctx("a", "2"), false},
		"exact made loose":    {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, exactly(ctx("a", "1")), ctx("a", "1"), false},
		"limit from nothing":  {[]string{"Decrypt", "CreateGrant"}, []string{"Decrypt"}, nil, ctx("a", "1"), true},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			parent := w.user(other, "parent")
			key := root.newKey()
			root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(parent.arn()), Operations: tt.parent, Constraints: tt.parentLimit})
			in := &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: &grantee, Operations: tt.child, Constraints: tt.childLimit}
			if !tt.allowed {
				wantHidden(t, parent.try(in), parent, "kms:CreateGrant")
				return
			}
			out := parent.grant(in)
			entries := get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key, GrantId: out.GrantId}).Grants
			if len(entries) != 1 || *entries[0].IssuingAccount != arn.Root(other) {
				t.Errorf("child %+v", entries)
			}
		})
	}
}

// A grantee may have more grants on a key than one transaction can read.
func TestManyGrantsOfOneGrantee(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	user := w.user(owner, "u")
	for i := range 120 {
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(user.arn()), Operations: []string{"Decrypt", "CreateGrant"},
			Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"n": fmt.Sprint(i)}}})
	}
	ctx := map[string]string{"n": "119"}
	user.must(&kmsapi.DecryptRequest{CiphertextBlob: root.encrypt(key, "x", ctx), EncryptionContext: ctx})
	user.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(user.arn()), Operations: []string{"Decrypt"},
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: ctx}})
	seen := map[string]bool{}
	in := &kmsapi.ListGrantsRequest{KeyId: &key, Limit: new(int32(100))}
	for {
		out := get[kmsapi.ListGrantsResponse](root, in)
		for _, g := range out.Grants {
			seen[*g.GrantId] = true
		}
		if !*out.Truncated {
			break
		}
		in.Marker = out.NextMarker
	}
	if len(seen) != 121 {
		t.Errorf("%d grants were listed, want 121", len(seen))
	}
}

// A grant ends with its grantee: a new principal of that name has nothing, and lists show the old
// one's unique id.
func TestGrantOfDeletedPrincipal(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	role := w.role(other, "/", "app")
	key := root.newKey()
	root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(role.ARN()), RetiringPrincipal: new(role.ARN()), Operations: []string{"DescribeKey"}})
	w.session(role, "s").must(&kmsapi.DescribeKeyRequest{KeyId: &key})
	w.update(func(tx store.Tx) error { return w.dir.DeleteRole(tx, role) })
	again := w.role(other, "/", "app")
	session := w.session(again, "s")
	wantHidden(t, session.try(&kmsapi.DescribeKeyRequest{KeyId: &key}), session, "kms:DescribeKey")
	g := root.grants(key)[0]
	if *g.GranteePrincipal != role.ID || *g.RetiringPrincipal != role.ID {
		t.Errorf("grantee %s, retiring %s, want %s", *g.GranteePrincipal, *g.RetiringPrincipal, role.ID)
	}
	wantErr(t, session.try(&kmsapi.RetireGrantRequest{KeyId: &key, GrantId: g.GrantId}), "AccessDeniedException", "*")
	filtered := func(who string) int {
		return len(get[kmsapi.ListGrantsResponse](root, &kmsapi.ListGrantsRequest{KeyId: &key, GranteePrincipal: &who}).Grants)
	}
	if filtered(role.ARN()) != 0 || filtered(role.ID) != 1 {
		t.Errorf("%d by ARN, %d by id; want 0 and 1", filtered(role.ARN()), filtered(role.ID))
	}
}

// The ids of a key's grants are in the order in which they were made, as lists show them.
func TestGrantIDsAreInOrder(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	var want, got []string
	for range 20 {
		id := *root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(arn.Root(other)), Operations: []string{"Decrypt"}}).GrantId
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 32 {
			t.Fatalf("grant id %s", id)
		}
		want = append(want, id)
		check(t, w.clock.Advance(t.Context(), time.Millisecond))
	}
	for _, g := range root.grants(key) {
		got = append(got, *g.GrantId)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
