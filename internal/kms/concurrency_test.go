package kms_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// each runs fn n times at once.
func each(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// Changes of one key at once are all there in the end, and each is on record once.
func TestConflictingChangesAllHappen(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	const n = 8
	each(n, func(i int) {
		for _, in := range []any{
			&kmsapi.TagResourceRequest{KeyId: &f.key, Tags: tags(fmt.Sprint(i), "v")},
			&kmsapi.CreateAliasRequest{AliasName: new(fmt.Sprintf("alias/n%d", i)), TargetKeyId: &f.key},
			&kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}},
		} {
			if err := f.root.try(in); err != nil {
				t.Error(err)
			}
		}
	})
	tagged := get[kmsapi.ListResourceTagsResponse](f.root, &kmsapi.ListResourceTagsRequest{KeyId: &f.key})
	aliases := get[kmsapi.ListAliasesResponse](f.root, &kmsapi.ListAliasesRequest{KeyId: &f.key})
	if len(tagged.Tags) != n || len(aliases.Aliases) != n+1 || len(f.root.grants(f.key)) != n+1 {
		t.Errorf("%d tags, %d aliases, %d grants", len(tagged.Tags), len(aliases.Aliases), len(f.root.grants(f.key)))
	}
	for _, op := range []string{"TagResource", "CreateAlias", "CreateGrant"} {
		want := map[string]int{"TagResource": n, "CreateAlias": n + 2, "CreateGrant": n + 1}[op]
		if got := len(w.records(trail.Filter{EventName: op})); got != want {
			t.Errorf("%d records of %s, want %d", got, op, want)
		}
	}
	// The count of grants is right: retiring all of them leaves none.
	for _, g := range f.root.grants(f.key) {
		f.root.must(&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: g.GrantId})
	}
	if got := w.grantCount(f.key); got != 0 {
		t.Errorf("the key counts %d grants", got)
	}
}

// grantCount is what the key's record says.
func (w *world) grantCount(key string) (n int) {
	w.t.Helper()
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) error {
		rec, err := kms.StoredKey(tx, region, owner, id(key))
		count, _ := rec["grants"].(float64) // absent: none
		n = int(count)
		return err
	}))
	return n
}

// Of many who want the same thing one gets it.
func TestOneWins(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	tests := map[string]struct {
		in   func() any
		lost string
	}{
		"alias": {func() any { return &kmsapi.CreateAliasRequest{AliasName: new("alias/same"), TargetKeyId: &f.key} }, "AlreadyExistsException"},
		"key id": {func() any {
			return &kmsapi.CreateKeyRequest{Tags: tags("_custom_id_", missing)}
		}, "AlreadyExistsException"},
		"revoke":   {func() any { return &kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant} }, "NotFoundException"},
		"deletion": {func() any { return &kmsapi.ScheduleKeyDeletionRequest{KeyId: &f.spare} }, "KMSInvalidStateException"},
	}
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			errs := make([]error, 6)
			each(len(errs), func(i int) { errs[i] = f.root.try(tt.in()) })
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else {
					wantErr(t, err, tt.lost, "*")
				}
			}
			if won != 1 {
				t.Errorf("%d won", won)
			}
		})
	}
}

// The same named grant asked for at once is made once.
func TestNamedGrantAtOnce(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	ids := make([]string, 6)
	each(len(ids), func(i int) {
		out, _, err := f.root.do(t.Context(), &kmsapi.CreateGrantRequest{KeyId: &f.key, GranteePrincipal: &f.user, Operations: []string{"Decrypt"}, Name: new("n")})
		if err != nil {
			t.Error(err)
			return
		}
		ids[i] = *out.(*kmsapi.CreateGrantResponse).GrantId
	})
	for _, g := range ids {
		if g != ids[0] {
			t.Errorf("grants %s and %s", g, ids[0])
		}
	}
	if n := w.grantCount(f.key); n != 2 {
		t.Errorf("the key counts %d grants, want 2", n)
	}
}

// A policy that takes the right away and uses of that right, at once: each use is decided by one
// of the policies, and none after the answer to PutKeyPolicy works.
func TestPolicyChangeIsImmediate(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	user := w.user(owner, "u")
	with, without := document(rootStatement(owner), allow(user.arn(), "", "kms:Encrypt")), document(rootStatement(owner))
	key := *root.createKey(&kmsapi.CreateKeyRequest{Policy: &with}).Arn
	in := &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}
	for range 10 {
		root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &without})
		wantDenied(t, user.try(in), user, "kms:Encrypt", key, noIdentity("kms:Encrypt"))
		root.must(&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: &with})
		user.must(in)
	}
}

// A request that its client gave up leaves nothing.
func TestCancelledRequestLeavesNothing(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := root.do(ctx, &kmsapi.CreateKeyRequest{}); err == nil {
		t.Error("a cancelled request made a key")
	}
	if n := w.size("kms/key"); n != 0 {
		t.Errorf("%d keys", n)
	}
}
