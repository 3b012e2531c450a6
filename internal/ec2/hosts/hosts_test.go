package hosts_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
)

const size = 1 << 20

func shelf(t testing.TB) *blockdev.Shelf {
	t.Helper()
	var roots [2]*os.Root
	for i := range roots {
		root, err := os.OpenRoot(t.TempDir())
		must(t, err)
		t.Cleanup(func() { must(t, root.Close()) })
		roots[i] = root
	}
	return blockdev.NewShelf(roots[0], objects.NewFolder(roots[1]))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A book is that of who works.
type book struct {
	mu    sync.Mutex
	holds map[[2]string]bool
}

func (b *book) Held(id, instance string, yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds[[2]string{id, instance}] = yes
}

func (b *book) Holds(id, instance string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holds[[2]string{id, instance}]
}

func (b *book) Boots() bool { return false }

// near is a host of this process.
func near(t *testing.T) (*hosts.Host, hosts.Rack) {
	h := hosts.New(hosts.Config{Volumes: shelf(t), OpenFiles: 1, Addresses: []string{"unix:/run/nbd.sock"}, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	return h, h.Rack()
}

// agent is a host of another node, with its life.
func agent(t testing.TB) (*hosts.Agent, string) {
	t.Helper()
	s := memory.New(memory.Config{})
	a, err := hosts.NewAgent(hosts.AgentConfig{
		Name: "b", Store: s, Volumes: shelf(t), Now: time.Now, OpenFiles: 1, ExportAddresses: []string{"unix:/run/nbd.sock"}, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	a.Start(t.Context())
	t.Cleanup(a.Stop)
	var rec hosts.Record
	must(t, s.View(t.Context(), func(tx store.Tx) (err error) {
		rec, _, err = hosts.Table.Get(tx, "b")
		return err
	}))
	return a, rec.Life
}

// far is that host as another node has it.
func far(t *testing.T) (*hosts.Host, hosts.Rack) {
	a, life := agent(t)
	r := hosts.Remote{
		Name: "b", Life: life, Token: 1, There: context.Background(), Book: &book{holds: map[[2]string]bool{}},
		Call: func(ctx context.Context, _, _ string, request []byte) ([]byte, error) {
			return a.Serve(ctx, request), nil
		},
	}
	if out, err := r.Attend(t.Context(), nil); err != nil || out.Life != life || len(out.Held) != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	return a.Host(), r
}

// A volume is made, held for an instance, written to, grown and copied while it is held, and let go; each step may come
// twice. It is all the same to who works where the host is.
func TestRacks(t *testing.T) {
	for name, rack := range map[string]func(*testing.T) (*hosts.Host, hosts.Rack){"near": near, "far": far} {
		t.Run(name, func(t *testing.T) {
			h, r := rack(t)
			ctx := t.Context()
			if _, err := h.Disk("vol-1"); !errors.Is(err, hosts.ErrNotHeld) {
				t.Error(err)
			}
			for _, id := range []string{"vol-1", "vol-2"} {
				for range 2 {
					must(t, r.Create(ctx, blockdev.Spec{ID: id, Size: size}))
					must(t, r.Hold(ctx, id, "i-1", secret.Bytes(nil)))
				}
				if !r.Holds(id, "i-1") || r.Holds(id, "i-2") {
					t.Error("who holds ", id)
				}
			}
			for _, id := range []string{"vol-1", "vol-2", "vol-1"} { // more than stay open
				writeAndRead(t, h, id)
			}
			must(t, r.Grow(ctx, "vol-1", 2*size))
			taken, err := r.Begin(ctx, "vol-1", "snap-1")
			must(t, err)
			must(t, taken.Store(ctx, nil))
			if taken.Size() == 0 {
				t.Error("a snapshot of nothing")
			}
			export(t, r)
			must(t, r.Fill(ctx, blockdev.Copy{From: "snap-1", To: blockdev.Spec{ID: "vol-3", Size: 2 * size}}, blockdev.KindVolume))
			must(t, r.Hold(ctx, "vol-3", "i-1", nil))
			d, err := h.Disk("vol-3")
			must(t, err)
			got := make([]byte, 5)
			if _, err := d.ReadAt(got, 4096); err != nil || string(got) != "vol-1" {
				t.Errorf("%q %v", got, err)
			}
			for range 2 {
				must(t, r.Release(ctx, "vol-1", "i-1"))
				must(t, r.Remove(ctx, "vol-1"))
			}
			if _, err := h.Disk("vol-1"); !errors.Is(err, hosts.ErrNotHeld) || r.Holds("vol-1", "i-1") {
				t.Error("it is still there", err)
			}
		})
	}
}

func writeAndRead(t *testing.T, h *hosts.Host, id string) {
	t.Helper()
	d, err := h.Disk(id)
	must(t, err)
	_, err = d.WriteAt([]byte(id), 4096)
	must(t, err)
	must(t, d.Flush())
	got := make([]byte, len(id))
	if _, err := d.ReadAt(got, 4096); err != nil || !bytes.Equal(got, []byte(id)) {
		t.Errorf("%q %v", got, err)
	}
}

func export(t *testing.T, r hosts.Rack) {
	t.Helper()
	spec := hosts.ExportSpec{Volume: "vol-1", Region: "us-west-2", Account: "111122223333"}
	for range hosts.MaxExports {
		made, err := r.Export(t.Context(), spec)
		if err != nil || made.Name == "" || len(made.Addresses) != 1 {
			t.Fatalf("%+v %v", made, err)
		}
	}
	if _, err := r.Export(t.Context(), spec); !errors.Is(err, hosts.ErrManyExports) {
		t.Error(err)
	}
	if list, err := r.Exports(t.Context(), "us-west-2", "111122223333"); err != nil || len(list) != hosts.MaxExports {
		t.Error(len(list), err)
	}
	must(t, r.EndExports(t.Context(), "vol-1"))
	if list, err := r.Exports(t.Context(), "us-west-2", "111122223333"); err != nil || len(list) != 0 {
		t.Error(len(list), err)
	}
	spec.Volume = "vol-9"
	if _, err := r.Export(t.Context(), spec); !errors.Is(err, hosts.ErrNotHeld) {
		t.Error(err)
	}
}

// An order for a host as it was in an earlier life, or from a node that does not work any more, is refused.
func TestAgentsObeyWhoWorks(t *testing.T) {
	_, r := far(t)
	remote := r.(hosts.Remote)
	for name, change := range map[string]func(*hosts.Remote){
		"an earlier life": func(r *hosts.Remote) { r.Life = "before" },
		"an earlier term": func(r *hosts.Remote) { r.Token = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			late := remote
			change(&late)
			if err := late.Create(t.Context(), blockdev.Spec{ID: "vol-1", Size: size}); !errors.Is(err, hosts.ErrAway) {
				t.Error(err)
			}
		})
	}
}

// A host that is lost has let go of everything by itself; of one that is away nobody knows.
func TestEmptyRacks(t *testing.T) {
	for _, why := range []error{hosts.ErrAway, hosts.ErrLost} {
		r := hosts.Empty{Why: why}
		if err := r.Create(t.Context(), blockdev.Spec{}); !errors.Is(err, why) {
			t.Error(err)
		}
		key := secret.Bytes("secret")
		if err := r.Hold(t.Context(), "vol-1", "i-1", key); !errors.Is(err, why) || !bytes.Equal(key, make([]byte, 6)) {
			t.Errorf("%v, key %q", err, []byte(key))
		}
		if err := r.Release(t.Context(), "vol-1", "i-1"); (err == nil) != errors.Is(why, hosts.ErrLost) {
			t.Error(err)
		}
	}
}

func TestClosedHostsHoldNothing(t *testing.T) {
	h, r := near(t)
	must(t, r.Create(t.Context(), blockdev.Spec{ID: "vol-1", Size: size}))
	h.Close()
	if err := r.Hold(t.Context(), "vol-1", "i-1", nil); !errors.Is(err, hosts.ErrDown) {
		t.Error(err)
	}
}
