package etcdtest_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/e2e/etcdtest"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
	"github.com/kagimori/kagimori/internal/testkit"
)

const upgradeAccount = "111122223333"

// A member is a record by which nodes agree on a format, as any version writes it.
type member struct {
	Format  int    `json:"format"`
	Version string `json:"version,omitempty"`
	Process string `json:"process"`
}

var members = store.Table[member]{Bucket: "app/member", Version: 1}

// briefly changes or reads the store of a cluster, as a process that is gone afterwards.
func briefly(t *testing.T, prefix string, fn func(store.Tx) error) {
	t.Helper()
	s, err := etcd.Open(t.Context(), etcd.Config{Endpoints: single.Endpoints(), Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), fn); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// oldCluster is a store of the first format, with a node that says that it knows no other.
func oldCluster(t *testing.T) (prefix string) {
	t.Helper()
	prefix = place()
	briefly(t, prefix, func(tx store.Tx) error {
		if err := (etcdtest.Mode{Format: 1, Dev: true}).Put(tx); err != nil {
			return err
		}
		return members.Put(tx, member{Format: 1, Version: "before", Process: "P"}, "node-before")
	})
	return prefix
}

func leaves(t *testing.T, prefix, id string) {
	t.Helper()
	briefly(t, prefix, func(tx store.Tx) error { return members.Delete(tx, id) })
}

func cluster(prefix string) *app.Cluster {
	return &app.Cluster{Endpoints: single.Endpoints(), Prefix: prefix, URL: "http://127.0.0.1:1"}
}

// startNode starts a node of this version.
func startNode(t *testing.T, prefix string) *testkit.Server {
	t.Helper()
	return testkit.Start(t, testkit.Options{Logger: slog.New(slog.DiscardHandler), Configure: func(c *app.Config) { c.Cluster = cluster(prefix) }})
}

func upgrade(t *testing.T, prefix string, forget ...string) (app.ClusterReport, error) {
	t.Helper()
	return app.UpgradeCluster(t.Context(), app.Config{Cluster: cluster(prefix), Logger: slog.New(slog.DiscardHandler)}, forget...)
}

// versions are those of the records of keys, by their ids.
func versions(t *testing.T, prefix string) map[string]byte {
	return recordVersions(t, prefix, "kms/key")
}

// recordVersions are those of a bucket's records, by the last part of their keys.
func recordVersions(t *testing.T, prefix, bucket string) map[string]byte {
	t.Helper()
	all := map[string]byte{}
	briefly(t, prefix, func(tx store.Tx) error {
		clear(all)
		for p, err := range tx.Scan(bucket, store.Range{}) {
			if err != nil {
				return err
			}
			parts := store.SplitKey(p.Key)
			all[parts[len(parts)-1]] = p.Data[0]
		}
		return nil
	})
	return all
}

func newKey(s *testkit.Server) string {
	return *testkit.Call[kmsapi.CreateKeyResponse](s.As(testkit.Admin(upgradeAccount)).KMS, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.KeyId
}

func roundTrip(s *testkit.Server, key string) string {
	c := s.As(testkit.Admin(upgradeAccount)).KMS
	enc := testkit.Call[kmsapi.EncryptResponse](c, "Encrypt", &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")})
	return string(testkit.Call[kmsapi.DecryptResponse](c, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: enc.CiphertextBlob}).Plaintext)
}

// While a node of the version before is there, the others write what it understands; once it is gone, an
// operator has all of them write the newest format, while they serve.
func TestNodesOneVersionApart(t *testing.T) {
	const before, now = 1, 2 // versions of keys' records
	prefix := oldCluster(t)
	one, two := startNode(t, prefix), startNode(t, prefix)
	first := newKey(one)
	testkit.Must(two.As(testkit.Admin(upgradeAccount)).KMS, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &first})
	testkit.Must(one.As(testkit.Admin(upgradeAccount)).KMS, "EnableKey", &kmsapi.EnableKeyRequest{KeyId: &first})
	if v := versions(t, prefix)[first]; v != before {
		t.Errorf("beside a node of the version before, a key has version %d", v)
	}
	if _, err := upgrade(t, prefix); err == nil || !strings.Contains(err.Error(), "node-before (version before, format 1)") {
		t.Errorf("raised beside a node that does not know the format: %v", err)
	}
	leaves(t, prefix, "node-before")
	if _, err := upgrade(t, prefix, "node-unheard"); err == nil || !strings.Contains(err.Error(), "there is no node node-unheard") {
		t.Errorf("forgot a node that there is not: %v", err)
	}
	between := newKey(two)
	if v := versions(t, prefix)[between]; v != before {
		t.Errorf("before the format was raised, a key has version %d", v)
	}
	r, err := upgrade(t, prefix)
	if err != nil || r.From != 1 || r.To != 3 || len(r.Members) != 2 {
		t.Fatalf("raised: %+v, %v", r, err)
	}
	second := newKey(two)
	eventually(t, "both nodes write the new format", func() bool {
		third := newKey(one)
		v := versions(t, prefix)
		return v[second] == now && v[third] == now && v[first] == before
	})
	for _, key := range []string{first, second} {
		if got := roundTrip(one, key); got != "x" {
			t.Errorf("key %s: %q", key, got)
		}
	}
	testkit.Must(two.As(testkit.Admin(upgradeAccount)).KMS, "UpdateKeyDescription", &kmsapi.UpdateKeyDescriptionRequest{KeyId: &first, Description: new("changed")})
	if v := versions(t, prefix)[first]; v != now {
		t.Errorf("a key that was changed has version %d", v)
	}
	if r, err := upgrade(t, prefix); err != nil || r.From != r.To {
		t.Errorf("raised again: %+v, %v", r, err)
	}
	two.Stop()
	if r, err := upgrade(t, prefix); err != nil || len(r.Members) != 1 {
		t.Errorf("a node that stopped is among %v, %v", r.Members, err)
	}
}

// In a cluster of format 2 keys are packed, and grants are what its nodes understand, until it is raised.
func TestGrantsOfTheFormatBefore(t *testing.T) {
	prefix := place()
	briefly(t, prefix, etcdtest.Mode{Format: 2, Dev: true}.Put)
	s := startNode(t, prefix)
	key := newKey(s)
	grant := func() string {
		return *testkit.Call[kmsapi.CreateGrantResponse](s.As(testkit.Admin(upgradeAccount)).KMS, "CreateGrant", &kmsapi.CreateGrantRequest{
			KeyId: &key, GranteePrincipal: new("arn:aws:iam::" + upgradeAccount + ":root"), Operations: []string{"Decrypt"},
		}).GrantId
	}
	first := grant()
	if k, g := versions(t, prefix)[key], recordVersions(t, prefix, "kms/grant")[first]; k != 2 || g != 1 {
		t.Errorf("before, a key has version %d and a grant %d", k, g)
	}
	if r, err := upgrade(t, prefix); err != nil || r.From != 2 || r.To != 3 {
		t.Fatalf("raised: %+v, %v", r, err)
	}
	eventually(t, "grants are of the new format", func() bool {
		id := grant()
		return recordVersions(t, prefix, "kms/grant")[id] == 2
	})
	list := testkit.Call[kmsapi.ListGrantsResponse](s.As(testkit.Admin(upgradeAccount)).KMS, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &key})
	if !slices.ContainsFunc(list.Grants, func(g kmsapi.GrantListEntry) bool { return *g.GrantId == first }) {
		t.Error("the grant of before is not there any more")
	}
}

// A new store has the newest format from the start.
func TestNewClusterHasTheNewestFormat(t *testing.T) {
	prefix := place()
	s := startNode(t, prefix)
	key := newKey(s)
	if v := versions(t, prefix)[key]; v != 2 {
		t.Errorf("a key has version %d", v)
	}
}

// A node that crashed keeps the format from being raised until it is forgotten; one that says nothing is
// found by what it commits.
func TestForgottenAndSilentNodes(t *testing.T) {
	prefix := oldCluster(t)
	silent := open(t, etcd.Config{Prefix: prefix})
	put(t, silent, "k", "v")
	if _, err := upgrade(t, prefix); err == nil || !strings.Contains(err.Error(), "--forget") {
		t.Errorf("raised beside a node that crashed: %v", err)
	}
	if _, err := upgrade(t, prefix, "node-before"); err == nil || !strings.Contains(err.Error(), "does not say which format it knows") {
		t.Errorf("raised beside a node that says nothing: %v", err)
	}
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := upgrade(t, prefix, "node-before"); err != nil || r.To != 3 || len(r.Members) != 0 {
		t.Errorf("raised: %+v, %v", r, err)
	}
}

// A store of a later format is refused, and left as it is; a node that runs when it is raised over it, because
// it was forgotten, changes nothing any more and says so.
func TestLaterCluster(t *testing.T) {
	prefix := place()
	s := startNode(t, prefix)
	key := newKey(s)
	briefly(t, prefix, etcdtest.Mode{Format: 99, Dev: true}.Put)
	c := s.As(testkit.Admin(upgradeAccount)).KMS
	for op, in := range map[string]any{
		"UpdateKeyDescription": &kmsapi.UpdateKeyDescriptionRequest{KeyId: &key, Description: new("changed")},
		"DescribeKey":          &kmsapi.DescribeKeyRequest{KeyId: &key},
	} {
		if err := testkit.Refused(c, op, in); err.Code != "ServiceUnavailable" {
			t.Errorf("%s: %v", op, err)
		}
	}
	const want = "the store in etcd was written by a newer kagimori (format 99; this one knows 3)"
	if _, err := app.Open(t.Context(), app.Config{Data: t.TempDir(), Dev: true, Cluster: cluster(prefix), Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a node began: %v", err)
	}
	if _, err := upgrade(t, prefix); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("raised: %v", err)
	}
	briefly(t, prefix, func(tx store.Tx) error {
		m, err := etcdtest.ModeOf(tx)
		if m.Format != 99 {
			t.Errorf("the store has format %d", m.Format)
		}
		return err
	})
}
