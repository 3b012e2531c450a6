package ec2_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func defaultKey(d *desk) string {
	d.T.Helper()
	return *ask[ec2api.GetEbsDefaultKmsKeyIdResult](d, d.root(mine), &ec2api.GetEbsDefaultKmsKeyIdRequest{}).KmsKeyId
}

func TestTheDefaultKeyIsTheManagedOneUntilOneIsSet(t *testing.T) {
	d := newDesk(t)
	if got := defaultKey(d); got != "alias/aws/ebs" {
		t.Errorf("a new account has %s", got)
	}
	tests := []struct{ name, given, want string }{
		{"an alias becomes the key's ARN", "alias/data", knownKey},
		{"an ARN stays", knownKey, knownKey},
		{"what leads nowhere is accepted, and kept", noKey, noKey},
	}
	for _, tt := range tests {
		out := ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](d, d.root(mine), &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &tt.given})
		if *out.KmsKeyId != tt.want || defaultKey(d) != tt.want {
			t.Errorf("%s: answer %s, then %s", tt.name, *out.KmsKeyId, defaultKey(d))
		}
	}
	other := ask[ec2api.GetEbsDefaultKmsKeyIdResult](d, d.root(theirs), &ec2api.GetEbsDefaultKmsKeyIdRequest{})
	if *other.KmsKeyId != "alias/aws/ebs" {
		t.Errorf("another account has %s", *other.KmsKeyId)
	}
	out := ask[ec2api.ResetEbsDefaultKmsKeyIdResult](d, d.root(mine), &ec2api.ResetEbsDefaultKmsKeyIdRequest{})
	if *out.KmsKeyId != managedKey || defaultKey(d) != managedKey {
		t.Errorf("after the reset: %s, then %s", *out.KmsKeyId, defaultKey(d))
	}
}

func TestEncryptionByDefault(t *testing.T) {
	d := newDesk(t)
	get := func(account string) bool {
		return *ask[ec2api.GetEbsEncryptionByDefaultResult](d, d.root(account), &ec2api.GetEbsEncryptionByDefaultRequest{}).EbsEncryptionByDefault
	}
	if get(mine) {
		t.Error("on in a new account")
	}
	if !*ask[ec2api.EnableEbsEncryptionByDefaultResult](d, d.root(mine), &ec2api.EnableEbsEncryptionByDefaultRequest{}).EbsEncryptionByDefault || !get(mine) {
		t.Error("still off")
	}
	ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](d, d.root(mine), &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: new("alias/data")})
	if !get(mine) || get(theirs) {
		t.Error("the key's setting changed this one, or it holds for another account")
	}
	if *ask[ec2api.DisableEbsEncryptionByDefaultResult](d, d.root(mine), &ec2api.DisableEbsEncryptionByDefaultRequest{}).EbsEncryptionByDefault || get(mine) {
		t.Error("still on")
	}
	if defaultKey(d) != knownKey {
		t.Error("the default key is gone")
	}
}
