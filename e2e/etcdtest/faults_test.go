package etcdtest_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kagimori/kagimori/e2e/etcdtest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/etcd"
	"github.com/kagimori/kagimori/internal/store/storetest"
)

func three(t *testing.T) *etcdtest.Cluster {
	t.Helper()
	c, err := etcdtest.Start(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// The contract holds on three members, and stays when the leader goes; a node that knows only a
// member without a quorum refuses, and goes on when the quorum is back.
func TestThreeMembers(t *testing.T) {
	c := three(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, etcd.Config{Endpoints: c.Endpoints(), Staleness: 10 * time.Second})
	})
	all := open(t, etcd.Config{Endpoints: c.Endpoints(), Prefix: "faults/"})
	one := open(t, etcd.Config{Endpoints: c.Endpoints()[:1], Prefix: "faults/"})
	put(t, all, "k", "before")
	leader := c.Leader()
	if leader == 0 { // that is the one that the second node knows
		leader = 1
	}
	c.StopMember(leader)
	eventually(t, "a change without that member", func() bool {
		return all.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", "k", []byte("after")) }) == nil
	})
	eventually(t, "the change on the other node", func() bool { return sees(t, one, "after") })

	other := 3 - leader
	c.StopMember(other)
	time.Sleep(1200 * time.Millisecond) // the bound
	for _, s := range []*etcd.Store{all, one} {
		if err := s.View(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a read without a quorum: %v; want ErrUnavailable", err)
		}
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", "k", nil) }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("an update without a quorum: %v; want ErrUnavailable", err)
		}
	}
	if err := c.StartMember(other); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reads on both nodes again", func() bool { return sees(t, all, "after") && sees(t, one, "after") })
}

// A node begins while a member is down, and while another address takes connections and says nothing.
func TestBeginsWithoutAMember(t *testing.T) {
	c := three(t)
	put(t, open(t, etcd.Config{Endpoints: c.Endpoints(), Prefix: "begins/"}), "k", "v")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for i := range 3 {
		c.StopMember(i)
		began := time.Now()
		endpoints := append([]string{silent.Addr().String()}, c.Endpoints()...)
		if got := get(t, open(t, etcd.Config{Endpoints: endpoints, Prefix: "begins/"}), "k"); got != "v" {
			t.Errorf("without member %d: %s", i, got)
		}
		t.Logf("without member %d it begins in %s", i, time.Since(began).Round(time.Millisecond))
		if err := c.StartMember(i); err != nil {
			t.Fatal(err)
		}
	}
}

func sees(t *testing.T, s store.Store, want string) (ok bool) {
	t.Helper()
	err := s.View(t.Context(), func(tx store.Tx) error {
		v, _, err := tx.Get("b", "k")
		ok = string(v.Data) == want
		return err
	})
	return ok && err == nil
}

// A node that was away while the cluster compacted reads everything anew, and its watches learn it.
func TestCompacted(t *testing.T) {
	c := three(t)
	c.StopMember((c.Leader() + 1) % 3) // so that a follower is the one that stops below
	down := (c.Leader() + 2) % 3
	if err := c.StartMember((c.Leader() + 1) % 3); err != nil {
		t.Fatal(err)
	}
	away := open(t, etcd.Config{Endpoints: c.Endpoints()[down : down+1], Prefix: "p/"})
	var rest []string
	for i, e := range c.Endpoints() {
		if i != down {
			rest = append(rest, e)
		}
	}
	there := open(t, etcd.Config{Endpoints: rest, Prefix: "p/"})
	put(t, there, "k", "first")
	eventually(t, "the first change", func() bool { return sees(t, away, "first") })
	ended := make(chan error, 1)
	go func() {
		for _, err := range away.Watch(t.Context(), "b", 0) {
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	c.StopMember(down)
	for i := range 20 {
		put(t, there, strconv.Itoa(i), "v")
	}
	put(t, there, "k", "second")
	if err := there.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.StartMember(down); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second change", func() bool { return sees(t, away, "second") })
	if err := <-ended; !errors.Is(err, store.ErrCompacted) {
		t.Errorf("the watch of the node that was away: %v; want ErrCompacted", err)
	}
	if err := away.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// flaky is a way to a member on which connections break all the time.
func flaky(t *testing.T, to string) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calm atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			wg.Go(func() { _, _ = io.Copy(out, in); out.Close(); in.Close() })
			wg.Go(func() { _, _ = io.Copy(in, out); out.Close(); in.Close() })
			if !calm.Load() {
				time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { in.Close(); out.Close() })
			}
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() { calm.Store(true) }
}

// Answers are lost all the time: what was acknowledged is there, what failed is not, and only what is
// said to be unknown may be either.
func TestLostAnswers(t *testing.T) {
	way, calm := flaky(t, single.Endpoints()[0])
	prefix := place()
	s := open(t, etcd.Config{Endpoints: []string{way}, Prefix: prefix, Staleness: 5 * time.Second})
	var done, unknown atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			begun := time.Now()
			for spent := time.Duration(0); spent < 3*time.Second || done.Load() < 100 && spent < time.Minute; spent = time.Since(begun) {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					v, _, err := tx.Get("b", strconv.Itoa(w))
					n, _ := strconv.Atoi(string(v.Data))
					return errors.Join(err, tx.Put("b", strconv.Itoa(w), []byte(strconv.Itoa(n+1))))
				})
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, store.ErrUnavailable):
					unknown.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	calm()
	direct := open(t, etcd.Config{Prefix: prefix})
	total := int64(0)
	for w := range 4 {
		n, _ := strconv.Atoi(get(t, direct, strconv.Itoa(w)))
		total += int64(n)
	}
	t.Logf("%d acknowledged, %d not, %d steps", done.Load(), unknown.Load(), total)
	if total < done.Load() || total > done.Load()+unknown.Load() {
		t.Errorf("%d steps were made of %d that were acknowledged and %d that were not", total, done.Load(), unknown.Load())
	}
	if done.Load() < 100 {
		t.Errorf("only %d updates came through", done.Load())
	}
}

// The cluster's user may do what its role says, and nobody else anything.
func TestAuth(t *testing.T) {
	c, err := etcdtest.Start(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	admin, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := etcdtest.RequireUsers(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Open(t.Context(), etcd.Config{Endpoints: c.Endpoints()}); err == nil {
		t.Error("the cluster lets anybody in")
	}
	s := open(t, etcd.Config{Endpoints: c.Endpoints(), Prefix: "kagimori/", User: "kagimori", Password: "secret"})
	put(t, s, "k", "v")
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("got %s", got)
	}
	if _, err := etcd.Open(t.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: "other/", User: "kagimori", Password: "secret"}); err == nil {
		t.Error("the user may write elsewhere")
	}
}
