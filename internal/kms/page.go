package kms

import (
	"encoding/base64"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/store"
)

// errMarker is for a marker that this list did not give out.
var errMarker = apierr.New("InvalidMarkerException", "")

// paging is where a list goes on and how long it may be.
type paging struct {
	prefix string
	after  string
	limit  int
}

// page reads a marker, which is the sealed key of the last entry shown, and a limit, which is def
// if it is absent and most at most. Source: API Reference, "Limit" of each operation.
func (s *Service) page(marker *string, limit *int32, def, most int, prefix ...string) (paging, error) {
	p := paging{prefix: store.Key(prefix...), limit: def}
	if limit != nil {
		p.limit = int(*limit)
	}
	if p.limit > most {
		return p, apierr.Validation("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to %d", p.limit, most)
	}
	if m := api.Val(marker); m != "" {
		raw, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil {
			return p, errMarker
		}
		after, err := s.marks.Open(raw, []byte(p.prefix))
		if err != nil {
			return p, errMarker
		}
		p.after = string(after)
	}
	return p, nil
}

// next is a continuation: the key of the last entry shown, or "" at the end.
type next struct{ prefix, last string }

// more makes Truncated and NextMarker.
func (s *Service) more(n next) (*bool, *string) {
	if n.last == "" {
		return new(false), nil
	}
	m := base64.RawURLEncoding.EncodeToString(s.marks.Seal([]byte(n.last), []byte(n.prefix)))
	return new(true), &m
}

// list reads one page of the records that keep says yes to.
func list[T any](tx store.Tx, t store.Table[T], p paging, keep func(store.Record[T]) bool) ([]T, next, error) {
	var out []T
	last := ""
	for r, err := range t.ScanRange(tx, store.Range{Prefix: p.prefix, After: p.after}) {
		if err != nil {
			return nil, next{}, err
		}
		if keep != nil && !keep(r) {
			continue
		}
		if len(out) == p.limit {
			return out, next{p.prefix, last}, nil
		}
		out = append(out, r.Value)
		last = store.Key(r.Key...)
	}
	return out, next{}, nil
}
