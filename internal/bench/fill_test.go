package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/guard/permittest"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// keyBuckets are where the records of a key are.
var keyBuckets = []string{"kms/key", "kms/alias", "kms/grant", "kms/grantee", "kms/retiring", "kms/grantname"}

// makeFirst makes the key that the others are like, through the API: with an alias and grants.
func makeFirst(b *testing.B, c *client.Client) {
	b.Helper()
	id, ctx := keyID(0), b.Context()
	must := func(op string, in, out any) {
		b.Helper()
		if err := c.Do(ctx, op, in, out); err != nil {
			b.Fatal(err)
		}
	}
	must("CreateKey", &kmsapi.CreateKeyRequest{Tags: []kmsapi.Tag{{TagKey: new("_custom_id_"), TagValue: &id}}}, &kmsapi.CreateKeyResponse{})
	must("CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/" + id), TargetKeyId: &id}, nil)
	for range grantsPerKey {
		must("CreateGrant", &kmsapi.CreateGrantRequest{
			KeyId: &id, GranteePrincipal: new(arn.Root("444455556666")), Operations: []string{"Decrypt"},
		}, &kmsapi.CreateGrantResponse{})
	}
}

// A model is the records of the first key. Those of others differ in the key's id, in the ids of grants,
// and in the key material.
type model struct {
	first   string
	records []modelRecord
	grants  []string // ids
	module  *soft.Module
}

type modelRecord struct {
	bucket string
	key    []string
	data   []byte
}

// keyMaterial is the field of a packed key that has key material, of which the fields are id, spec and
// wrapped bytes; packedVersion is that of packed keys and grants.
const (
	keyMaterial   protowire.Number = 20
	packedVersion uint8            = 2
)

func readModel(ctx context.Context, s store.Store, m *soft.Module) (*model, error) {
	t := &model{first: keyID(0), module: m}
	err := s.View(ctx, func(tx store.Tx) error {
		for _, bucket := range keyBuckets {
			for p, err := range tx.Scan(bucket, store.Range{}) {
				if err != nil {
					return err
				}
				if !strings.Contains(p.Key, t.first) {
					continue
				}
				r := modelRecord{bucket, store.SplitKey(p.Key), p.Data}
				switch bucket {
				case "kms/key":
					var err error
					if r.data, err = withoutMaterial(p.Data); err != nil {
						return err
					}
				case "kms/grant", "kms/grantee":
					if r.data, err = unpacked(p.Data); err != nil {
						return err
					}
					if bucket == "kms/grant" {
						t.grants = append(t.grants, r.key[len(r.key)-1])
					}
				}
				t.records = append(t.records, r)
			}
		}
		return nil
	})
	if err == nil && len(t.grants) != grantsPerKey {
		err = fmt.Errorf("the first key has %d grants", len(t.grants))
	}
	return t, err
}

// unpacked is what is in a packed record.
func unpacked(data []byte) ([]byte, error) {
	body, ok := store.Unpack(data)
	if !ok || data[0] != packedVersion {
		return nil, errors.New("a record that is not packed")
	}
	return body, nil
}

// withoutMaterial is what is in a packed key but its material.
func withoutMaterial(data []byte) (out []byte, err error) {
	rest, err := unpacked(data)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		if number != keyMaterial {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	return out, nil
}

// appendMaterial appends the field with key material.
func appendMaterial(out []byte, m hsm.Material) []byte {
	var in []byte
	for i, data := range [][]byte{[]byte(m.ID), []byte(m.Spec), m.Wrapped} {
		in = protowire.AppendBytes(protowire.AppendTag(in, protowire.Number(i+1), protowire.BytesType), data)
	}
	return protowire.AppendBytes(protowire.AppendTag(out, keyMaterial, protowire.BytesType), in)
}

// A record is one to write.
type record struct {
	bucket, key string
	data        []byte
}

// appendKey appends the records of another key, with material of its own.
func (t *model) appendKey(ctx context.Context, out []record, id string) ([]record, error) {
	keyARN := arn.KMSKey(testkit.Region, account, id)
	m, err := t.module.Generate(ctx, permittest.New("kms:CreateKey", "*"), keyARN, "SYMMETRIC_DEFAULT")
	if err != nil {
		return nil, err
	}
	renamed := make([]string, len(t.grants))
	for i := range renamed {
		var r [32]byte
		rand.Read(r[:]) // never fails
		renamed[i] = hex.EncodeToString(r[:])
	}
	for _, r := range t.records {
		key := slices.Clone(r.key)
		data := bytes.ReplaceAll(r.data, []byte(t.first), []byte(id))
		for i, part := range key {
			key[i] = strings.ReplaceAll(part, t.first, id)
			if g := slices.Index(t.grants, part); g >= 0 {
				key[i] = renamed[g]
				data = bytes.ReplaceAll(data, []byte(part), []byte(renamed[g]))
			}
		}
		switch r.bucket {
		case "kms/key":
			data = store.Pack(packedVersion, appendMaterial(data, m))
		case "kms/grant", "kms/grantee":
			data = store.Pack(packedVersion, data)
		}
		out = append(out, record{r.bucket, store.Key(key...), data})
	}
	return out, nil
}

// fill makes keys with an alias and grants each, as far as an earlier run did not: one through the API,
// and the others by writing what the API wrote for it, in transactions as large as the store has them.
// Through the API alone a million keys take hours.
func fill(b *testing.B, dir, data string, n int) {
	b.Helper()
	mark := filepath.Join(dir, "made")
	done := 0
	if data, err := os.ReadFile(mark); err == nil {
		done, _ = strconv.Atoi(string(data)) // a mark that cannot be read is no mark
	}
	if done >= n {
		return
	}
	if done == 0 {
		maker := startProcess(b, roleServer, data)
		makeFirst(b, newClient(b, maker.url))
		maker.stop()
		done = 1
	}
	began := time.Now()
	if err := fillOffline(b.Context(), data, done, n); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d keys were made in %v", n-done, time.Since(began).Round(time.Millisecond))
	if err := os.WriteFile(mark, []byte(strconv.Itoa(n)), 0o600); err != nil {
		b.Fatal(err)
	}
}

// fillOffline writes the keys from done up to n into the store of a directory that nobody serves.
func fillOffline(ctx context.Context, data string, done, n int) (err error) {
	root, err := os.OpenRoot(data)
	if err != nil {
		return err
	}
	defer root.Close()
	key, err := soft.Unseal(ctx, soft.Seal{Dir: root, File: "seal.json"}, soft.PlainLock{})
	if err != nil {
		return err
	}
	m, err := soft.Open(soft.Config{Root: key})
	if err != nil {
		return errors.Join(err, key.Close())
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(data, "store.db"), NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t, err := readModel(ctx, s, m)
	if err != nil {
		return err
	}
	each := store.MaxOps / len(t.records)
	var next atomic.Int64
	next.Store(int64(done))
	const writers = 128 // one commit has what many of them wrote
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for errs[w] == nil {
				from := int(next.Add(int64(each))) - each
				if from >= n {
					return
				}
				var all []record
				for i := from; i < min(from+each, n) && errs[w] == nil; i++ {
					all, errs[w] = t.appendKey(ctx, all, keyID(i))
				}
				if errs[w] != nil {
					return
				}
				errs[w] = s.Update(ctx, func(tx store.Tx) error {
					for _, r := range all {
						if err := tx.Put(r.bucket, r.key, r.data); err != nil {
							return err
						}
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
