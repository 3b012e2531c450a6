package scenario

import (
	"context"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
)

func (x *exporter) keys(ctx context.Context, account string) error {
	aliases, err := x.aliases(ctx, account)
	if err != nil {
		return err
	}
	return pages(func(marker *string) (*string, error) {
		var list kmsapi.ListKeysResponse
		if err := x.s.ask(ctx, x.at(account), "kms", "ListKeys", &kmsapi.ListKeysRequest{Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, e := range list.Keys {
			k, err := x.key(ctx, account, api.Val(e.KeyId))
			if err != nil {
				return nil, err
			}
			if k.Aliases = aliases[api.Val(e.KeyId)]; k.Aliases == nil {
				k.Aliases = []string{}
			}
			x.sc.Keys = append(x.sc.Keys, k)
			if e := x.sc.Accounts[len(x.sc.Accounts)-1].EBS; e[x.sel.Region].DefaultKmsKeyID == k.ARN && k.Manager == managerAWS {
				e[x.sel.Region] = EBS{EncryptionByDefault: e[x.sel.Region].EncryptionByDefault, DefaultKmsKeyID: awsManagedAlias}
			}
		}
		return list.NextMarker, nil
	})
}

// awsManagedAlias names the AWS managed key for EBS.
const awsManagedAlias = "alias/aws/ebs"

// aliases are the names of an account's keys, by key id.
func (x *exporter) aliases(ctx context.Context, account string) (map[string][]string, error) {
	out := map[string][]string{}
	err := pages(func(marker *string) (*string, error) {
		var list kmsapi.ListAliasesResponse
		if err := x.s.ask(ctx, x.at(account), "kms", "ListAliases", &kmsapi.ListAliasesRequest{Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, a := range list.Aliases {
			if id := api.Val(a.TargetKeyId); id != "" {
				out[id] = append(out[id], api.Val(a.AliasName))
			}
		}
		return list.NextMarker, nil
	})
	return out, err
}

func (x *exporter) key(ctx context.Context, account, id string) (Key, error) {
	who := x.at(account)
	var desc kmsapi.DescribeKeyResponse
	if err := x.s.ask(ctx, who, "kms", "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &id}, &desc); err != nil {
		return Key{}, err
	}
	m := desc.KeyMetadata
	k := Key{
		ARN: api.Val(m.Arn), Account: account, Region: x.sel.Region, Manager: api.Val(m.KeyManager), Spec: api.Val(m.KeySpec), Usage: api.Val(m.KeyUsage),
		State: api.Val(m.KeyState), Tags: map[string]string{}, Grants: []Grant{},
	}
	var pol kmsapi.GetKeyPolicyResponse
	if err := x.s.ask(ctx, who, "kms", "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &id}, &pol); err != nil {
		return k, err
	}
	k.Policy = Document(api.Val(pol.Policy))
	if k.Manager == managerAWS {
		return k, nil
	}
	err := pages(func(marker *string) (*string, error) {
		var list kmsapi.ListResourceTagsResponse
		if err := x.s.ask(ctx, who, "kms", "ListResourceTags", &kmsapi.ListResourceTagsRequest{KeyId: &id, Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, t := range list.Tags {
			if api.Val(t.TagKey) != customIDTag {
				k.Tags[api.Val(t.TagKey)] = api.Val(t.TagValue)
			}
		}
		return list.NextMarker, nil
	})
	if err != nil {
		return k, err
	}
	return k, x.grants(ctx, who, &k)
}

// grants reads the grants that somebody made, without those of running instances and of EBS.
func (x *exporter) grants(ctx context.Context, who place, k *Key) error {
	return pages(func(marker *string) (*string, error) {
		var list kmsapi.ListGrantsResponse
		if err := x.s.ask(ctx, who, "kms", "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &k.ARN, Marker: marker}, &list); err != nil {
			return nil, err
		}
		for _, e := range list.Grants {
			grantee := api.Val(e.GranteePrincipal)
			if e.GranteeServicePrincipal != nil || strings.Contains(grantee, ":assumed-role/aws:ec2-infrastructure/") || !strings.HasPrefix(grantee, "arn:") {
				continue
			}
			g := Grant{ID: api.Val(e.GrantId), GranteePrincipal: grantee, Operations: e.Operations, Status: grantActive}
			if issuer := account(api.Val(e.IssuingAccount)); arn.IsAccount(issuer) && issuer != k.Account {
				g.IssuingAccount = issuer
			}
			if c := e.Constraints; c != nil {
				g.Constraints = &Constraints{EncryptionContextSubset: c.EncryptionContextSubset, EncryptionContextEquals: c.EncryptionContextEquals}
				if c.SourceArn != nil {
					x.note("the grant %s on %s is limited to the source %s too", g.ID, k.ARN, *c.SourceArn)
				}
			}
			k.Grants = append(k.Grants, g)
		}
		return list.NextMarker, nil
	})
}
