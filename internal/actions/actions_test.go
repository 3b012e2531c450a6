package actions_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/actions"
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/organizationsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
)

func services() []*api.Service {
	return []*api.Service{
		kmsapi.Service(), iamapi.Service(), stsapi.Service(), ec2api.Service(), autoscalingapi.Service(),
		organizationsapi.Service(), cloudtrailapi.Service(), accessanalyzerapi.Service(), kagimoriapi.Service(), ebsapi.Service(),
	}
}

// authorizedAs are the operations that are authorized as other actions than their own name.
var authorizedAs = map[string][]string{
	"kms:ReEncrypt": {"kms:ReEncryptFrom", "kms:ReEncryptTo"},
}

func TestEveryImplementedOperationHasItsAction(t *testing.T) {
	table := actions.Load()
	for _, s := range services() {
		for name := range s.Operations {
			full := s.Name + ":" + name
			names, other := authorizedAs[full]
			if !other {
				names = []string{full}
			}
			for _, n := range names {
				a, ok := table.Action(n)
				if !ok {
					t.Errorf("%s is not in the table", n)
				} else if a.NamesOnly {
					t.Errorf("of %s the table knows the name only", n)
				}
			}
		}
	}
}

func TestEveryKeyOfAnActionHasAType(t *testing.T) {
	table := actions.Load()
	n := 0
	for s := range table.Services() {
		for _, a := range s.Actions() {
			keys := slices.Clone(a.Keys)
			for i := range a.Resources {
				keys = append(keys, a.Resources[i].Carried()...)
			}
			for _, k := range keys {
				n++
				if found, ok := table.Key(k); !ok || found.Template != k {
					t.Errorf("%s carries %s: found %+v, %v", a.Full(), k, found, ok)
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d keys: the table was not read whole", n)
	}
}

func TestLookUps(t *testing.T) {
	table := actions.Load()
	a, ok := table.Action("KMS:createGRANT")
	if !ok || a.Full() != "kms:CreateGrant" || a.Grant != "CreateGrant" || !a.CrossAccount || !a.ByKeyPolicy {
		t.Fatalf("kms:CreateGrant is %+v, %v", a, ok)
	}
	if _, ok := table.Action("kms:ReEncrypt"); ok {
		t.Error("kms:ReEncrypt is an action")
	}
	carried := a.Carries(&a.Resources[0])
	for _, k := range []string{"kms:GrantIsForAWSResource", "kms:ViaService", "kms:KeySpec", "kms:CustomerMasterKeySpec", "kms:ResourceAliases"} {
		if !slices.Contains(carried, k) {
			t.Errorf("kms:CreateGrant does not carry %s", k)
		}
	}
	if volume, ok := table.Action("ec2:AcceptAddressTransfer"); !ok || !volume.NamesOnly {
		t.Error("ec2:AcceptAddressTransfer is not known by name")
	}
	if !table.Exists("s3") || !table.Exists("kagimori") || table.Exists("kmss") {
		t.Error("prefixes are wrong")
	}
}

func TestKeysAreFoundByTheNamesOfPolicies(t *testing.T) {
	table := actions.Load()
	tests := []struct {
		name, template string
		typ            actions.Type
		multi, global  bool
	}{
		{"AWS:sourceip", "aws:SourceIp", actions.IP, false, true},
		{"aws:requesttag/Cost Center", "aws:RequestTag/${TagKey}", actions.String, false, true},
		{"aws:TagKeys", "aws:TagKeys", actions.String, true, true},
		{"kms:EncryptionContext:aws:ebs:id", "kms:EncryptionContext:${EncryptionContextKey}", actions.String, false, false},
		{"kms:encryptioncontextkeys", "kms:EncryptionContextKeys", actions.String, true, false},
		{"kms:RecipientAttestation:PCR4", "kms:RecipientAttestation:PCR${n}", actions.String, false, false},
		{"kms:GrantIsForAWSResource", "kms:GrantIsForAWSResource", actions.Bool, false, false},
		{"aws:EpochTime", "aws:EpochTime", actions.DateOrNumeric, false, true},
		{"sts:ExternalId", "sts:ExternalId", actions.String, false, false},
		{"saml:sub", "saml:sub", actions.String, false, false},
	}
	for _, tt := range tests {
		k, ok := table.Key(tt.name)
		if !ok || k.Template != tt.template || k.Type != tt.typ || k.Multi != tt.multi || k.Global != tt.global {
			t.Errorf("%s is %+v, %v", tt.name, k, ok)
		}
	}
	for _, name := range []string{"kms:GrantIsForAwsResources", "aws:SourceIP4", "aws:RequestTag/", "kms:", "x"} {
		if k, ok := table.Key(name); ok {
			t.Errorf("%s is found as %s", name, k.Template)
		}
	}
}

func TestTagKeysAreGlobalByNameOnly(t *testing.T) {
	table := actions.Load()
	if table.Global("aws:RequestTag/team") || table.Global("aws:ResourceTag/team") || table.Global("aws:TagKeys") {
		t.Error("keys of tags depend on the action")
	}
	if !table.Global("aws:PrincipalTag/team") || !table.Global("AWS:SourceVpce") {
		t.Error("any request may carry keys of principal and network")
	}
	for _, k := range table.GlobalKeys() {
		if strings.Contains(k, "kms:") {
			t.Errorf("%s is global", k)
		}
	}
}
