package tour

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// oneAccount is example 1: the key and the group are in one account.
func (t *traveller) oneAccount(ctx context.Context) error {
	t.chapter("Example 1: the key and the group are in one account, " + groupAccount)
	p, err := t.admin(groupAccount)
	if err != nil {
		return err
	}
	t.who(p, "user admin of "+groupAccount, devSecret)
	role, err := t.serviceRole(ctx, p)
	if err != nil {
		return err
	}
	t.begin("A customer managed key with the default key policy: the account decides by IAM policies.")
	t.command("kms", "create-key", "--description", "tour")
	var made kmsapi.CreateKeyResponse
	if err := p.kms.Do(ctx, "CreateKey", &kmsapi.CreateKeyRequest{Description: new("tour")}, &made); err != nil {
		return err
	}
	key := api.Val(made.KeyMetadata.Arn)
	t.tell("%s", key)
	start := time.Time{}
	group, err := t.launchGroup(ctx, p, key)
	if err != nil {
		return err
	}
	t.begin("The group tries to launch.")
	failed, err := t.expectFailure(ctx, p, group, start)
	if err != nil {
		return err
	}
	t.begin("Two statements are added to the key policy, after those that are there.")
	if err := t.addStatements(ctx, p, key, roleStatements(role)); err != nil {
		return err
	}
	t.begin("The group recovers by itself at its next attempt.")
	instance, err := t.expectSuccess(ctx, p, group, *failed.StartTime)
	if err != nil {
		return err
	}
	if err := t.volumes(ctx, p, instance, key); err != nil {
		return err
	}
	t.begin("Each attached volume has a grant: only this instance may decrypt the volume's data key.")
	return t.grants(ctx, p, key)
}

// addStatements puts a key policy with statements added to its end.
func (t *traveller) addStatements(ctx context.Context, p *party, key string, add []statement) error {
	t.command("kms", "get-key-policy", "--key-id", key, "--policy-name", "default", "--output", "text")
	var have kmsapi.GetKeyPolicyResponse
	if err := p.kms.Do(ctx, "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &key, PolicyName: new("default")}, &have); err != nil {
		return err
	}
	doc, err := withStatements(api.Val(have.Policy), add)
	if err != nil {
		return err
	}
	t.command("kms", "put-key-policy", "--key-id", key, "--policy-name", "default", "--policy", doc)
	if err := p.kms.Do(ctx, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, PolicyName: new("default"), Policy: &doc}, nil); err != nil {
		return err
	}
	for _, s := range add {
		t.tell("added %q", s.Sid)
	}
	return nil
}

// grants lists the grants on a key, as its owner.
func (t *traveller) grants(ctx context.Context, p *party, key string) error {
	t.command("kms", "list-grants", "--key-id", key)
	var out kmsapi.ListGrantsResponse
	if err := p.kms.Do(ctx, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &key}, &out); err != nil {
		return err
	}
	for _, g := range out.Grants {
		var where []string
		if g.Constraints != nil {
			for k, v := range g.Constraints.EncryptionContextSubset {
				where = append(where, k+"="+v)
			}
		}
		t.tell("%s  %v  %s", short(api.Val(g.GranteePrincipal)), g.Operations, strings.Join(where, " "))
	}
	if len(out.Grants) < 2 {
		return fmt.Errorf("%w: %d grants, not one for each of 2 volumes", ErrSurprise, len(out.Grants))
	}
	return nil
}
