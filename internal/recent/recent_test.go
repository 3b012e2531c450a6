package recent_test

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kagimori/kagimori/internal/recent"
)

func TestTheOldestGoes(t *testing.T) {
	l := recent.New[string](2)
	put := func(hash uint64, val, gone string) {
		t.Helper()
		if got, was := l.Put(hash, val); got != gone || was != (gone != "") {
			t.Errorf("for %s went %q, %v; want %q", val, got, was, gone)
		}
	}
	put(1, "a", "")
	put(2, "b", "")
	if v := l.Get(1); v == nil || *v != "a" {
		t.Errorf("a is %v", v)
	}
	put(3, "c", "b")
	if v := l.Peek(1); v == nil || *v != "a" {
		t.Errorf("a is %v", v)
	}
	put(4, "d", "a") // a look is no use
	put(4, "e", "d")
	if l.Get(2) != nil || l.Peek(1) != nil || l.Len() != 2 {
		t.Errorf("%d values, among them what went", l.Len())
	}
	if gone, was := l.Remove(3); gone != "c" || !was {
		t.Errorf("%q, %v went", gone, was)
	}
	if _, was := l.Remove(3); was {
		t.Error("what went is there again")
	}
	if gone, was := l.RemoveOldest(); gone != "e" || !was {
		t.Errorf("%q, %v went", gone, was)
	}
	if _, was := l.RemoveOldest(); was || l.Len() != 0 {
		t.Error("there is more than was kept")
	}
	one := recent.New[int](0)
	one.Put(1, 1)
	if gone, was := one.Put(2, 2); gone != 1 || !was || one.Len() != 1 {
		t.Error("a list has room for one")
	}
}

// TestLikeAList compares it with the obvious way to do it.
func TestLikeAList(t *testing.T) {
	for _, limit := range []int{1, 3, 256, 300, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(limit)))
			l, obvious := recent.New[uint64](limit), &plain{limit: limit, at: map[uint64]*list.Element{}, order: list.New()}
			for range 20 * limit * 10 {
				hash := r.Uint64N(uint64(2 * limit))
				switch what := r.IntN(10); {
				case what < 5:
					v, w := l.Get(hash), obvious.get(hash)
					if (v == nil) != (w == nil) || v != nil && *v != *w {
						t.Fatalf("%d is %v, want %v", hash, v, w)
					}
				case what < 8:
					val := r.Uint64()
					gone, was := l.Put(hash, val)
					if g, w := obvious.put(hash, val); g != gone || w != was {
						t.Fatalf("%d, %v went, want %d, %v", gone, was, g, w)
					}
				case what < 9:
					gone, was := l.Remove(hash)
					if g, w := obvious.remove(obvious.at[hash]); g != gone || w != was {
						t.Fatalf("%d, %v went, want %d, %v", gone, was, g, w)
					}
				default:
					gone, was := l.RemoveOldest()
					if g, w := obvious.remove(obvious.order.Back()); g != gone || w != was {
						t.Fatalf("%d, %v went, want %d, %v", gone, was, g, w)
					}
				}
				if l.Len() != len(obvious.at) {
					t.Fatalf("%d values, want %d", l.Len(), len(obvious.at))
				}
			}
		})
	}
}

type plain struct {
	limit int
	at    map[uint64]*list.Element
	order *list.List
}

type pair struct{ hash, val uint64 }

func (p *plain) get(hash uint64) *uint64 {
	e := p.at[hash]
	if e == nil {
		return nil
	}
	p.order.MoveToFront(e)
	return &e.Value.(*pair).val
}

func (p *plain) put(hash, val uint64) (uint64, bool) {
	gone, was := p.remove(p.at[hash])
	if !was && len(p.at) >= p.limit {
		gone, was = p.remove(p.order.Back())
	}
	p.at[hash] = p.order.PushFront(&pair{hash, val})
	return gone, was
}

func (p *plain) remove(e *list.Element) (uint64, bool) {
	if e == nil {
		return 0, false
	}
	v := p.order.Remove(e).(*pair)
	delete(p.at, v.hash)
	return v.val, true
}
