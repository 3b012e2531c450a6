package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
)

// A cluster answers what the store asks, and watches nothing.
type cluster struct {
	clientv3.KV
	clientv3.Watcher

	mu     sync.Mutex
	rev    int64
	pairs  []*mvccpb.KeyValue // sorted
	gets   int
	slow   time.Duration
	fail   error
	heard  func(rev int64) // RequestProgress was called
	txns   [][]clientv3.Op
	compar [][]clientv3.Cmp
}

func (c *cluster) client() *clientv3.Client { return &clientv3.Client{KV: c, Watcher: c} }

func (c *cluster) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, opts...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets++
	if c.slow > 0 {
		c.mu.Unlock()
		t := time.NewTimer(c.slow)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		c.mu.Lock()
	}
	if err := errors.Join(c.fail, ctx.Err()); err != nil {
		return nil, err
	}
	out := &clientv3.GetResponse{Header: &etcdserverpb.ResponseHeader{Revision: c.rev}}
	if op.IsCountOnly() {
		return out, nil
	}
	for _, p := range c.pairs {
		if bytes.Compare(p.Key, op.KeyBytes()) < 0 || bytes.Compare(p.Key, op.RangeBytes()) >= 0 || op.Rev() > 0 && p.ModRevision > op.Rev() {
			continue
		}
		if op.Limit() > 0 && int64(len(out.Kvs)) == op.Limit() {
			out.More = true
			break
		}
		out.Kvs = append(out.Kvs, p)
	}
	return out, nil
}

func (c *cluster) RequestProgress(context.Context) error {
	c.mu.Lock()
	rev, heard := c.rev, c.heard
	c.mu.Unlock()
	if heard != nil {
		heard(rev)
	}
	return nil
}

// A txn notes what it is asked.
type txn struct {
	clientv3.Txn
	c    *cluster
	cmps []clientv3.Cmp
	ops  []clientv3.Op
}

func (c *cluster) Txn(context.Context) clientv3.Txn { return &txn{c: c} }
func (t *txn) If(cmps ...clientv3.Cmp) clientv3.Txn { t.cmps = cmps; return t }
func (t *txn) Then(ops ...clientv3.Op) clientv3.Txn { t.ops = ops; return t }
func (t *txn) Commit() (*clientv3.TxnResponse, error) {
	t.c.txns, t.c.compar = append(t.c.txns, t.ops), append(t.c.compar, t.cmps)
	return &clientv3.TxnResponse{Succeeded: true}, t.c.fail
}

func (c *cluster) Compact(context.Context, int64, ...clientv3.CompactOption) (*clientv3.CompactResponse, error) {
	return &clientv3.CompactResponse{}, c.fail
}

func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *cluster) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gets
}

var space = etcd.Space("p/")

func pair(bucket, key, value string, rev int64) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte(space.Key(bucket, key)), Value: []byte(value), ModRevision: rev}
}

func put(bucket, key, data string, rev int64) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypePut, Kv: pair(bucket, key, etcd.Encode([]byte(data)), rev)}
}

func bury(bucket, key string, rev int64) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypePut, Kv: pair(bucket, key, etcd.Tombstone, rev)}
}

func remove(bucket, key string, rev int64) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: []byte(space.Key(bucket, key)), ModRevision: rev}}
}

// content is what a snapshot shows of a bucket.
func content(t *testing.T, tx store.Tx, bucket string, r store.Range) (out []string) {
	t.Helper()
	for p, err := range tx.Scan(bucket, r) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s=%s@%d", p.Key, p.Data, p.Rev))
	}
	return out
}

// A start reads everything in pages, as of one revision, and refuses what is not ours.
func TestLoad(t *testing.T) {
	c := &cluster{rev: 5000}
	var want []string
	for i := range 1700 {
		key := fmt.Sprintf("k%05d", i)
		c.pairs = append(c.pairs, pair("b", key, etcd.Encode([]byte("v")), int64(i+1)))
		if want = append(want, fmt.Sprintf("%s=v@%d", key, i+1)); i == 1000 {
			c.pairs[i].Value, want = []byte(etcd.Tombstone), want[:1000]
		}
	}
	u := etcd.NewUnit(t.Context(), c.client(), time.Second)
	if err := u.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := u.Snapshot(false)
	if got := content(t, tx, "b", store.Range{}); !slices.Equal(got, want) || tx.Revision() != 1700 || c.gets != 4 {
		t.Errorf("%d pairs at %d in %d pages", len(got), tx.Revision(), c.gets)
	}
	if old := u.Old(1001); len(old) != 1 || u.Old(1000) != nil {
		t.Errorf("tombstones %q", old)
	}
	for _, foreign := range []string{"", "\x02x", "{}"} {
		c.pairs = []*mvccpb.KeyValue{pair("b", "k", foreign, 1)}
		if err := u.Load(t.Context()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: %v", foreign, err)
		}
	}
	c.fail = rpctypes.ErrNoLeader
	if err := u.Load(t.Context()); err == nil {
		t.Error("a failure is none")
	}
}

// What a watch tells is in the next state and in no earlier one; a tombstone is told as a deletion once.
func TestApply(t *testing.T) {
	u := etcd.NewUnit(t.Context(), (&cluster{}).client(), time.Second)
	step := func(rev int64, events ...*clientv3.Event) store.Tx {
		t.Helper()
		if err := u.Apply(rev, events...); err != nil {
			t.Fatal(err)
		}
		return u.Snapshot(false)
	}
	first := step(10, put("a", "x", "1", 10), put("a", "y", "1", 10), put("ab", "z", "1", 10))
	second := step(11, put("a", "x", "2", 11), bury("a", "y", 11))
	third := step(12, remove("a", "y", 12), remove("ab", "z", 12), &clientv3.Event{Kv: &mvccpb.KeyValue{Key: []byte("other/key")}})
	for i, tt := range []struct {
		tx   store.Tx
		a    []string
		rev  store.Revision
		some bool
	}{{first, []string{"x=1@10", "y=1@10"}, 10, true}, {second, []string{"x=2@11"}, 11, true}, {third, []string{"x=2@11"}, 12, false}} {
		if got := content(t, tt.tx, "a", store.Range{}); !slices.Equal(got, tt.a) || tt.tx.Revision() != tt.rev {
			t.Errorf("state %d at %d: %v", i, tt.tx.Revision(), got)
		}
		if _, there, err := tt.tx.Get("ab", "z"); err != nil || there != tt.some {
			t.Errorf("state %d: z is there: %v %v", i, there, err)
		}
	}
	var told []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for e, err := range u.History().Watch(ctx, "a", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if told = append(told, fmt.Sprintf("%s %v@%d", e.Key, e.Deleted, e.Rev)); len(told) == 4 {
			break
		}
	}
	if want := []string{"x false@10", "y false@10", "x false@11", "y true@11"}; !slices.Equal(told, want) {
		t.Errorf("told %v", told)
	}
	if u.Old(100) != nil {
		t.Error("a tombstone that was removed is to be removed")
	}
	if err := u.Apply(13, &clientv3.Event{Kv: pair("a", "k", "foreign", 13)}); !errors.Is(err, store.ErrCorrupt) {
		t.Error(err)
	}
}

// Ranges, limits and the order are those of the contract; what was looked at is what an update compares.
func TestSnapshots(t *testing.T) {
	u := etcd.NewUnit(t.Context(), (&cluster{}).client(), time.Second)
	if err := u.Apply(9, put("b", "1", "a", 5), put("b", "2", "b", 6), bury("b", "3", 7), put("b", "4", "d", 8), put("c", "1", "x", 9)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		r    store.Range
		want []string
	}{
		{store.Range{}, []string{"1=a@5", "2=b@6", "4=d@8"}},
		{store.Range{Reverse: true}, []string{"4=d@8", "2=b@6", "1=a@5"}},
		{store.Range{Limit: 2}, []string{"1=a@5", "2=b@6"}},
		{store.Range{Limit: 1, Reverse: true}, []string{"4=d@8"}},
		{store.Range{After: "1"}, []string{"2=b@6", "4=d@8"}},
		{store.Range{After: "2", Reverse: true}, []string{"1=a@5"}},
		{store.Range{After: "4"}, nil},
		{store.Range{Prefix: "4"}, []string{"4=d@8"}},
	} {
		if got := content(t, u.Snapshot(false), "b", tt.r); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v", tt.r, got)
		}
	}
	tx := u.Snapshot(true)
	for range 2 {
		if _, _, err := tx.Get("b", "1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, there, _ := tx.Get("b", "none"); there {
		t.Error("none is there")
	}
	if n := len(tx.Unchanged()); n != 2 {
		t.Errorf("%d comparisons of two keys", n)
	}
	for range tx.Scan("b", store.Range{}) {
		break
	}
	cmps := tx.Unchanged()
	if len(cmps) != 4 { // the range, and that no tombstone went
		t.Fatalf("%d comparisons", len(cmps))
	}
	within := cmps[2]
	if string(within.KeyBytes()) != space.Key("b", "") || string(within.GetCompare().RangeEnd) != space.Key("b", "1")+"\x00" {
		t.Errorf("the range is compared from %q to %q", within.KeyBytes(), within.GetCompare().RangeEnd)
	}
	if n := len(u.Snapshot(false).Unchanged()); n != 0 {
		t.Errorf("a view compares %d", n)
	}
	if err := tx.Put("b", "k", nil); !errors.Is(err, store.ErrReadOnly) {
		t.Error(err)
	}
	tx.End()
	if _, _, err := tx.Get("b", "1"); !errors.Is(err, store.ErrEnded) {
		t.Error(err)
	}
	if err := tx.Delete("b", "k"); !errors.Is(err, store.ErrEnded) {
		t.Error(err)
	}
	for _, err := range tx.Scan("b", store.Range{}) {
		if !errors.Is(err, store.ErrEnded) {
			t.Error(err)
		}
	}
}

// Tombstones are removed in transactions of a hundred at most, each with the floor and only as it was seen.
func TestBuryInParts(t *testing.T) {
	c := &cluster{}
	u := etcd.NewUnit(t.Context(), c.client(), time.Second)
	for i := range 250 {
		if err := u.Apply(int64(i+1), bury("b", fmt.Sprint(i), int64(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Bury(230); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for i, ops := range c.txns {
		sizes = append(sizes, len(ops))
		if len(c.compar[i]) != len(ops)-1 || !ops[0].IsPut() || string(ops[0].KeyBytes()) >= space.Key("", "") && !ops[1].IsDelete() {
			t.Errorf("transaction %d has %d comparisons for %d operations", i, len(c.compar[i]), len(ops))
		}
	}
	if !slices.Equal(sizes, []int{101, 101, 31}) {
		t.Errorf("transactions of %v", sizes)
	}
	c.fail = rpctypes.ErrNoLeader
	if u.Bury(250) == nil || u.Compact(t.Context(), 5) == nil || u.Compact(t.Context(), 0) != nil {
		t.Error("a failure is none, or nothing to do is one")
	}
	if c.fail = rpctypes.ErrCompacted; u.Compact(t.Context(), 5) != nil {
		t.Error("that another node was faster is a failure")
	}
}

// Reads are refused when the replica may be older than the bound and the cluster does not answer, at once after
// a long outage; and answered again as soon as it does.
func TestStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		u := etcd.NewUnit(t.Context(), c.client(), time.Second)
		u.Begin()
		time.Sleep(time.Second)
		if err := u.Young(t.Context()); err != nil || c.asked() != 0 {
			t.Errorf("a second old: %v, asked %d times", err, c.asked())
		}
		time.Sleep(time.Millisecond)
		if err := u.Young(t.Context()); err != nil || c.asked() != 1 || u.Age() != 0 {
			t.Errorf("asked %d times: %v, %s old", c.asked(), err, u.Age())
		}
		c.set(func() { c.fail = rpctypes.ErrNoLeader })
		time.Sleep(2 * time.Second)
		begun := time.Now()
		if err := u.Young(t.Context()); !errors.Is(err, store.ErrUnavailable) || time.Since(begun) < 2*time.Second || time.Since(begun) > 3*time.Second {
			t.Errorf("a short outage: %v after %s", err, time.Since(begun))
		}
		time.Sleep(10 * time.Second)
		begun = time.Now()
		if err := u.Young(t.Context()); !errors.Is(err, store.ErrUnavailable) || time.Since(begun) > 0 {
			t.Errorf("a long outage: %v after %s", err, time.Since(begun))
		}
		if err := u.Reachable(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("an update in a long outage: %v", err)
		}
		c.set(func() { c.fail = nil })
		if err := u.Confirm(t.Context()); err != nil {
			t.Error(err)
		}
		if err := u.Young(t.Context()); err != nil || u.Age() != 0 {
			t.Errorf("back: %v", err)
		}
		u.Lost()
		c.set(func() { c.fail = rpctypes.ErrNoLeader })
		if err := u.Young(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a replica of no use: %v", err)
		}
	})
}

// The age counts from before the question, and only when the replica has what the answer tells.
func TestAgeIsThatOfTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{rev: 7, slow: 300 * time.Millisecond}
		u := etcd.NewUnit(t.Context(), c.client(), time.Second)
		c.heard = func(rev int64) { go func() { time.Sleep(200 * time.Millisecond); u.Progressed(rev) }() }
		u.Begin()
		if err := u.Confirm(t.Context()); err != nil {
			t.Fatal(err)
		}
		if age := u.Age(); age != 500*time.Millisecond {
			t.Errorf("%s old after the answer and the change", age)
		}
		c.set(func() { c.rev, c.heard = 8, nil }) // the watch is silent
		if err := u.Confirm(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		c.set(func() { c.rev, c.slow = 3, 0 }) // restored from a backup
		if err := u.Confirm(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the cluster went back: %v", err)
		}
	})
}

// Who waits together shares a question, which is asked after all of them came.
func TestQuestionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{slow: 100 * time.Millisecond}
		u := etcd.NewUnit(t.Context(), c.client(), time.Second)
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				came := time.Now()
				if err := u.Confirm(t.Context()); err != nil {
					t.Error(err)
				}
				if u.Age() > time.Since(came) {
					t.Errorf("a question of before: %s old, came %s ago", u.Age(), time.Since(came))
				}
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		if n := c.asked(); n < 3 || n > 4 {
			t.Errorf("%d questions in 0.3 s", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := u.Confirm(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Second)
	})
}

func TestSamples(t *testing.T) {
	var s etcd.Samples
	begin := time.Unix(1000, 0)
	if s.Before(begin) != 0 {
		t.Error("a revision is known of nothing")
	}
	for i := range 100 {
		s.Add(begin.Add(time.Duration(i)*time.Second), int64(i), 10*time.Second)
	}
	if s.Len() > 12 || s.Before(begin.Add(95*time.Second)) != 95 || s.Before(begin.Add(95500*time.Millisecond)) != 95 || s.Before(begin.Add(time.Second)) != 0 {
		t.Errorf("%d samples, %d", s.Len(), s.Before(begin.Add(95*time.Second)))
	}
}
