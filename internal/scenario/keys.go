package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
)

// customIDTag fixes the id of a new key of a development server.
const customIDTag = "_custom_id_"

func keyID(key string) string {
	a, err := arn.Parse(key)
	if err != nil {
		return ""
	}
	return a.ID()
}

func (w *World) noKey(ctx context.Context, k Key) error {
	err := w.s.ask(ctx, admin(k.Account).in(k.Region), "kms", "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &k.ARN}, nil)
	switch apierr.Code(err) {
	case "NotFoundException":
		return nil
	case "", "AccessDeniedException":
		if err == nil || apierr.Code(err) != "" {
			return occupied(k.ARN)
		}
	}
	return err
}

// makeKeys makes the keys and their aliases. Until putPolicies a key is open to all accounts of
// the scenario, so that they can make what lies under it.
func (w *World) makeKeys(ctx context.Context) error {
	for i := range w.Scenario.Keys {
		k := &w.Scenario.Keys[i]
		var err error
		switch {
		case k.Manager == managerAWS:
			err = w.findManaged(ctx, k)
		case !w.Scenario.MadeBySetup(k.ARN):
			if err = w.createKey(ctx, admin(k.Account).in(k.Region), k, w.buildingPolicy(), true); err == nil {
				err = w.makeAliases(ctx, k)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// buildingPolicy opens a key to all accounts of the scenario.
func (w *World) buildingPolicy() Document {
	roots := make([]string, len(w.Scenario.Accounts))
	for i, a := range w.Scenario.Accounts {
		roots[i] = arn.Root(a.ID)
	}
	return Document(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + strings.Join(roots, `","`) +
		`"]},"Action":"kms:*","Resource":"*"}]}`)
}

// findManaged learns the server's own key in the place of an AWS managed one, which comes to be
// by being looked for.
func (w *World) findManaged(ctx context.Context, k *Key) error {
	if len(k.Aliases) != 1 || len(k.Grants) > 0 {
		return fmt.Errorf("%w: the AWS managed key %s needs its alias, and no grants", ErrUnable, k.ARN)
	}
	var out kmsapi.DescribeKeyResponse
	err := w.s.do(ctx, admin(k.Account).in(k.Region), "kms", "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &k.Aliases[0]}, &out)
	if err != nil {
		return err
	}
	w.real[k.ARN] = api.Val(out.KeyMetadata.Arn)
	w.s.tell("AWS managed key %s of %s is %s", k.Aliases[0], k.Account, w.real[k.ARN])
	return nil
}

func (w *World) createKey(ctx context.Context, who place, k *Key, policy Document, bypass bool) error {
	in := &kmsapi.CreateKeyRequest{
		Policy: new(policy.Compact()), KeySpec: &k.Spec, KeyUsage: &k.Usage, BypassPolicyLockoutSafetyCheck: api.Opt(bypass),
		Tags: []kmsapi.Tag{{TagKey: new(customIDTag), TagValue: new(keyID(k.ARN))}},
	}
	if k.State == "PendingImport" {
		in.Origin = new("EXTERNAL")
	}
	for _, name := range slices.Sorted(maps.Keys(k.Tags)) {
		in.Tags = append(in.Tags, kmsapi.Tag{TagKey: &name, TagValue: new(k.Tags[name])})
	}
	var out kmsapi.CreateKeyResponse
	if err := w.s.do(ctx, who, "kms", "CreateKey", in, &out); err != nil {
		return err
	}
	if got := api.Val(out.KeyMetadata.Arn); got != k.ARN {
		return fmt.Errorf("%w: the new key is %s, not %s; only a development server lets the tag %s choose", ErrUnable, got, k.ARN, customIDTag)
	}
	w.s.tell("key %s", k.ARN)
	return nil
}

func (w *World) makeAliases(ctx context.Context, k *Key) error {
	for _, name := range k.Aliases {
		err := w.s.do(ctx, admin(k.Account).in(k.Region), "kms", "CreateAlias", &kmsapi.CreateAliasRequest{
			AliasName: &name, TargetKeyId: new(keyID(k.ARN)),
		}, nil)
		if err != nil {
			return err
		}
		w.s.tell("%s of %s in %s", name, k.Account, k.Region)
	}
	return nil
}

// present are the customer's keys that exist before the setup.
func (w *World) present() []*Key {
	var out []*Key
	for i := range w.Scenario.Keys {
		if k := &w.Scenario.Keys[i]; k.Manager != managerAWS && !w.Scenario.MadeBySetup(k.ARN) {
			out = append(out, k)
		}
	}
	return out
}

func (w *World) makeGrants(ctx context.Context) error {
	for _, k := range w.present() {
		if err := w.grantsOf(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// grantsOf makes the grants of a key, and ends those that are history.
func (w *World) grantsOf(ctx context.Context, k *Key) error {
	for _, g := range k.Grants {
		issuer := g.IssuingAccount
		if issuer == "" {
			issuer = k.Account
		}
		id, err := w.createGrant(ctx, admin(issuer).in(k.Region), k, g)
		if err != nil {
			return err
		}
		w.grants[k.ARN+" "+g.ID] = id
		switch g.Status {
		case grantRevoked:
			err = w.s.do(ctx, admin(k.Account).in(k.Region), "kms", "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &k.ARN, GrantId: &id}, nil)
		case grantRetired:
			err = w.s.do(ctx, root(issuer).in(k.Region), "kms", "RetireGrant", &kmsapi.RetireGrantRequest{KeyId: &k.ARN, GrantId: &id}, nil)
		}
		if err != nil {
			return err
		}
		w.s.tell("grant %s is %s (%s)", g.ID, id, g.Status)
	}
	return nil
}

func (w *World) createGrant(ctx context.Context, who place, k *Key, g Grant) (string, error) {
	in := &kmsapi.CreateGrantRequest{KeyId: &k.ARN, GranteePrincipal: &g.GranteePrincipal, Operations: g.Operations}
	if c := g.Constraints; c != nil {
		in.Constraints = &kmsapi.GrantConstraints{EncryptionContextSubset: c.EncryptionContextSubset, EncryptionContextEquals: c.EncryptionContextEquals}
	}
	var out kmsapi.CreateGrantResponse
	err := w.s.do(ctx, who, "kms", "CreateGrant", in, &out)
	return api.Val(out.GrantId), err
}

// putPolicies gives the keys the policies of the scenario.
func (w *World) putPolicies(ctx context.Context) error {
	for _, k := range w.present() {
		if err := w.putPolicy(ctx, admin(k.Account).in(k.Region), k, k.Policy, true); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) putPolicy(ctx context.Context, who place, k *Key, policy Document, bypass bool) error {
	return w.s.do(ctx, who, "kms", "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{
		KeyId: &k.ARN, Policy: new(policy.Compact()), BypassPolicyLockoutSafetyCheck: api.Opt(bypass),
	}, nil)
}

// setStates disables keys and schedules their deletion. Nothing can be made under them after.
func (w *World) setStates(ctx context.Context) error {
	for _, k := range w.present() {
		if err := w.setState(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// setState brings a key into the state that the scenario gives it.
func (w *World) setState(ctx context.Context, k *Key) error {
	who := admin(k.Account).in(k.Region)
	switch k.State {
	case "Enabled", "PendingImport":
		return nil
	case "Disabled":
		w.s.tell("key %s is disabled", k.ARN)
		return w.s.do(ctx, who, "kms", "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &k.ARN}, nil)
	case "PendingDeletion":
		w.s.tell("key %s is to be deleted", k.ARN)
		return w.s.do(ctx, who, "kms", "ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &k.ARN}, &kmsapi.ScheduleKeyDeletionResponse{})
	}
	return fmt.Errorf("%w: key %s in state %s", ErrUnable, k.ARN, k.State)
}

// finishKeys completes the keys that the setup made.
func (w *World) finishKeys(ctx context.Context) error {
	for i := range w.Scenario.Keys {
		k := &w.Scenario.Keys[i]
		if !w.Scenario.MadeBySetup(k.ARN) {
			continue
		}
		for _, part := range []func(context.Context, *Key) error{w.makeAliases, w.grantsOf, w.setState} {
			if err := part(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}
