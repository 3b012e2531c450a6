package keypairs_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/keypairs"
	"github.com/kagimori/kagimori/internal/guard"
)

// public is a public key that somebody else made.
const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@example"

func newDesk(t *testing.T) *ec2test.Desk {
	return ec2test.New(t, func(g *guard.Guard) map[string]guard.Handler { return keypairs.New(g).Operations() })
}

func list(d *ec2test.Desk, in *ec2api.DescribeKeyPairsRequest) []ec2api.KeyPairInfo {
	return ec2test.Ask[ec2api.DescribeKeyPairsResult](d, d.Root(), in).KeyPairs
}

func TestLifeOfAKeyPair(t *testing.T) {
	d := newDesk(t)
	made := ec2test.Ask[ec2api.KeyPair](d, d.Root(), &ec2api.CreateKeyPairRequest{
		KeyName: new("login"), KeyType: new("ed25519"), TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("key-pair"), Tags: ec2test.Tags("team", "web")}},
	})
	if material := made.KeyMaterial.Reveal(); !strings.Contains(material, "PRIVATE KEY") || len(made.Tags) != 1 || !strings.HasPrefix(*made.KeyPairId, "key-") {
		t.Errorf("made %+v", made)
	}
	imported := ec2test.Ask[ec2api.ImportKeyPairResult](d, d.Root(), &ec2api.ImportKeyPairRequest{KeyName: new("brought"), PublicKeyMaterial: []byte(public)})
	d.Refuse(d.Root(), &ec2api.CreateKeyPairRequest{KeyName: new("login")}, "InvalidKeyPair.Duplicate", "The keypair 'login' already exists.")
	d.Refuse(d.Root(), &ec2api.ImportKeyPairRequest{KeyName: new("login"), PublicKeyMaterial: []byte(public)}, "InvalidKeyPair.Duplicate", "The keypair 'login' already exists.")

	all := list(d, &ec2api.DescribeKeyPairsRequest{IncludePublicKey: new(true)})
	if len(all) != 2 || *all[0].KeyName != "brought" || *all[0].KeyPairId != *imported.KeyPairId || *all[1].KeyFingerprint != *made.KeyFingerprint || all[0].Tags == nil {
		t.Fatalf("%+v", all)
	}
	if want := strings.TrimSuffix(public, "me@example") + "brought"; *all[0].PublicKey != want || *all[0].KeyType != "ed25519" {
		t.Errorf("%s, %s", *all[0].PublicKey, *all[0].KeyType)
	}
	for name, in := range map[string]*ec2api.DescribeKeyPairsRequest{
		"name": {KeyNames: []string{"login"}}, "id": {KeyPairIds: []string{*made.KeyPairId}}, "tag": {Filters: []ec2api.Filter{ec2test.Filter("tag:team", "w?b")}},
		"fingerprint": {Filters: []ec2api.Filter{ec2test.Filter("fingerprint", *made.KeyFingerprint)}},
	} {
		if got := list(d, in); len(got) != 1 || *got[0].KeyName != "login" || got[0].PublicKey != nil {
			t.Errorf("by %s: %+v", name, got)
		}
	}
	d.Refuse(d.Root(), &ec2api.DescribeKeyPairsRequest{KeyNames: []string{"none"}}, "InvalidKeyPair.NotFound", "The key pair 'none' does not exist")
	d.Refuse(d.Root(), &ec2api.DescribeKeyPairsRequest{KeyPairIds: []string{"key-0"}}, "InvalidKeyPair.NotFound", "The key pair ID 'key-0' does not exist")

	for range 2 { // what does not exist can be deleted
		ec2test.Ask[ec2api.DeleteKeyPairResult](d, d.Root(), &ec2api.DeleteKeyPairRequest{KeyName: new("brought")})
	}
	if gone := ec2test.Ask[ec2api.DeleteKeyPairResult](d, d.Root(), &ec2api.DeleteKeyPairRequest{KeyPairId: made.KeyPairId}); *gone.KeyPairId != *made.KeyPairId {
		t.Errorf("%+v", gone)
	}
	if pairs, tags := d.Count("ec2/key-pair"), d.Count("ec2/tag"); pairs != 0 || tags != 0 {
		t.Errorf("%d key pairs and tags of %d are left", pairs, tags)
	}
}

func TestKeyPairsThatAreNone(t *testing.T) {
	d := newDesk(t)
	for name, tt := range map[string]struct {
		in   any
		code string
	}{
		"no name":         {&ec2api.CreateKeyPairRequest{}, "MissingParameter"},
		"a space":         {&ec2api.CreateKeyPairRequest{KeyName: new(" a")}, "InvalidParameterValue"},
		"a long name":     {&ec2api.CreateKeyPairRequest{KeyName: new(strings.Repeat("a", 256))}, "InvalidParameterValue"},
		"no ASCII":        {&ec2api.CreateKeyPairRequest{KeyName: new("鍵")}, "InvalidParameterValue"},
		"another type":    {&ec2api.CreateKeyPairRequest{KeyName: new("a"), KeyType: new("dsa")}, "InvalidParameterValue"},
		"another format":  {&ec2api.CreateKeyPairRequest{KeyName: new("a"), KeyFormat: new("der")}, "InvalidParameterValue"},
		"no material":     {&ec2api.ImportKeyPairRequest{KeyName: new("a")}, "MissingParameter"},
		"other material":  {&ec2api.ImportKeyPairRequest{KeyName: new("a"), PublicKeyMaterial: []byte("hello")}, "InvalidKey.Format"},
		"nothing to drop": {&ec2api.DeleteKeyPairRequest{}, "MissingParameter"},
		"dry run":         {&ec2api.CreateKeyPairRequest{KeyName: new("a"), DryRun: new(true)}, "DryRunOperation"},
		"dry deletion":    {&ec2api.DeleteKeyPairRequest{KeyName: new("a"), DryRun: new(true)}, "DryRunOperation"},
	} {
		t.Run(name, func(t *testing.T) { d.Refuse(d.Root(), tt.in, tt.code, "*") })
	}
	if n := d.Count("ec2/key-pair"); n != 0 {
		t.Errorf("%d key pairs were made", n)
	}
}

// TestWhoMayHaveKeyPairs: conditions see the type of a new pair, and the name and the tags of one that is there.
func TestWhoMayHaveKeyPairs(t *testing.T) {
	d := newDesk(t)
	maker := d.Allowed("maker", `"ec2:CreateKeyPair"`, `"arn:aws:ec2:*:*:key-pair/web-*"`, `{"StringEquals":{"ec2:KeyPairType":"ed25519"}}`)
	d.Refuse(maker, &ec2api.CreateKeyPairRequest{KeyName: new("web-1"), KeyType: new("rsa")}, "UnauthorizedOperation", "*")
	d.Refuse(maker, &ec2api.CreateKeyPairRequest{KeyName: new("db-1"), KeyType: new("ed25519")}, "UnauthorizedOperation", "*")
	ec2test.Ask[ec2api.KeyPair](d, maker, &ec2api.CreateKeyPairRequest{KeyName: new("web-1"), KeyType: new("ed25519")})
	for name, team := range map[string]string{"ours": "web", "theirs": "db"} {
		ec2test.Ask[ec2api.ImportKeyPairResult](d, d.Root(), &ec2api.ImportKeyPairRequest{
			KeyName: &name, PublicKeyMaterial: []byte(public), TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("key-pair"), Tags: ec2test.Tags("team", team)}},
		})
	}
	cleaner := d.Allowed("cleaner", `"ec2:DeleteKeyPair"`, `"*"`, `{"StringEquals":{"aws:ResourceTag/team":"web"}}`)
	d.Refuse(cleaner, &ec2api.DeleteKeyPairRequest{KeyName: new("theirs")}, "UnauthorizedOperation", "*")
	ec2test.Ask[ec2api.DeleteKeyPairResult](d, cleaner, &ec2api.DeleteKeyPairRequest{KeyName: new("ours")})
	d.Refuse(cleaner, &ec2api.DescribeKeyPairsRequest{}, "UnauthorizedOperation", "*")
}
