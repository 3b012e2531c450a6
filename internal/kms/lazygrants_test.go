package kms_test

import (
	"context"
	"iter"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/store"
)

func (d *disk) View(ctx context.Context, fn func(store.Tx) error) error {
	return d.Store.View(ctx, func(tx store.Tx) error { return fn(counting{tx, d}) })
}

// counting is a transaction that counts the scans of grants by grantee.
type counting struct {
	store.Tx
	disk *disk
}

func (c counting) Scan(bucket string, r store.Range) iter.Seq2[store.Pair, error] {
	if bucket == "kms/grantee" {
		c.disk.grantScans.Add(1)
	}
	return c.Tx.Scan(bucket, r)
}

func TestWhatPoliciesAllowReadsNoGrants(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	able := w.user(owner, "able", iam("*", "kms:GenerateDataKey"))
	unable := w.user(owner, "unable")
	for _, grantee := range []*who{able, unable} {
		root.grant(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(grantee.arn()), Operations: []string{"GenerateDataKey"}})
	}
	scans := func(c *who) int64 {
		before := w.disk.grantScans.Load()
		get[kmsapi.GenerateDataKeyResponse](c, &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256")})
		return w.disk.grantScans.Load() - before
	}
	if n := scans(able); n != 0 {
		t.Errorf("%d scans of grants for what policies allow", n)
	}
	if scans(unable) == 0 {
		t.Error("no scan of grants for what only a grant allows")
	}
}
