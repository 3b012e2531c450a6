package e2e_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// race makes a call many times at once and gives the outcomes: nil or an error's code.
func race(t *testing.T, n int, call func(ctx context.Context, i int) error) map[string]int {
	t.Helper()
	var (
		mu       sync.Mutex
		outcomes = map[string]int{}
		wg       sync.WaitGroup
	)
	for i := range n {
		wg.Go(func() {
			err := call(t.Context(), i)
			code := "ok"
			if e, isAPI := errors.AsType[smithy.APIError](err); isAPI {
				code = e.ErrorCode()
			} else if err != nil {
				code = err.Error()
			}
			mu.Lock()
			outcomes[code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	return outcomes
}

func TestConcurrentCreationsOfOneNameHaveOneWinner(t *testing.T) {
	const n = 16
	c := admin(t)
	first, second := c.key(t, ""), c.key(t, "")
	targets := []string{first, second}
	for what, r := range map[string]struct {
		call  func(context.Context, int) error
		loser string
	}{
		"alias": {func(ctx context.Context, i int) error {
			_, err := c.kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: new("alias/one"), TargetKeyId: &targets[i%2]})
			return err
		}, "AlreadyExistsException"},
		"user": {func(ctx context.Context, _ int) error {
			_, err := c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: new("one")})
			return err
		}, "EntityAlreadyExists"},
		"service-linked role": {func(ctx context.Context, _ int) error {
			_, err := c.iam.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com")})
			return err
		}, "InvalidInput"},
		"key id": {func(ctx context.Context, _ int) error {
			_, err := c.kms.CreateKey(ctx, &kms.CreateKeyInput{Tags: []kmstypes.Tag{{TagKey: new("_custom_id_"), TagValue: new("99999999-0000-1111-2222-333333333333")}}})
			return err
		}, "AlreadyExistsException"},
	} {
		if got := race(t, n, r.call); got["ok"] != 1 || got[r.loser] != n-1 {
			t.Errorf("%s: outcomes are %v, want one ok and %d %s", what, got, n-1, r.loser)
		}
	}
}

func TestConcurrentPoliciesAndGrantsAreWholeAndAllThere(t *testing.T) {
	const n = 24
	c := admin(t)
	key := c.key(t, "")
	got := race(t, n, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			_, err := c.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: new(numbered(c.account, i))})
			return err
		}
		_, err := c.kms.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: new(seed.Root(c.account)), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		})
		return err
	})
	if got["ok"] != n {
		t.Errorf("outcomes are %v", got)
	}
	if grants := len(c.grants(t, key)); grants != n/2 {
		t.Errorf("there are %d grants, %d were acknowledged", grants, n/2)
	}
	policy := *must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy
	whole := false
	for i := 0; i < n; i += 2 {
		whole = whole || policy == numbered(c.account, i)
	}
	if !whole {
		t.Errorf("the policy is none of those that were put: %s", policy)
	}
	// The same named request makes one grant.
	named := race(t, n, func(ctx context.Context, _ int) error {
		_, err := c.kms.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: new(seed.Root(c.account)), Name: new("one"), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		})
		return err
	})
	if grants := len(c.grants(t, key)); named["ok"] != n || grants != n/2+1 {
		t.Errorf("outcomes of named requests are %v, there are %d grants, want %d", named, grants, n/2+1)
	}
}

func TestASharedIdentifierDoesNotCrossAccountsOrRegions(t *testing.T) {
	c := admin(t)
	other := adminOf(c.url, seed.NewAccount())
	key := c.key(t, "")
	id := key[strings.LastIndexByte(key, '/')+1:]
	for name, who := range map[string]*client{"other account": other, "other region": c.in("eu-central-1")} {
		out, err := who.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
		e := refused(out, err)(t, "NotFoundException")
		if !strings.Contains(e.ErrorMessage(), id) {
			t.Errorf("%s: %s", name, e.ErrorMessage())
		}
		if n := len(must(who.kms.ListKeys(t.Context(), &kms.ListKeysInput{}))(t).Keys); n != 0 {
			t.Errorf("%s lists %d keys", name, n)
		}
	}
}
