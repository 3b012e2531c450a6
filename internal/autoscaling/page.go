package autoscaling

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// after reads a token, which is the key of the last entry shown.
func after(token *string, prefix string) (string, error) {
	if token == nil || *token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || !strings.HasPrefix(string(raw), prefix) {
		return "", apierr.New("InvalidNextToken", "The token '"+*token+"' is invalid.")
	}
	return string(raw), nil
}

func token(key string) *string {
	if key == "" {
		return nil
	}
	return new(base64.RawURLEncoding.EncodeToString([]byte(key)))
}

// bound is the size of a page.
func bound(given *int32, def, limit int) (int, error) {
	if given == nil {
		return def, nil
	}
	if *given < 1 || int(*given) > limit {
		return 0, validation("MaxRecords must be between 1 and %d", limit)
	}
	return int(*given), nil
}

// A page is the part of a listing that a request asks for.
type page struct {
	s          *Service
	c          *guard.Call
	next       *string
	records    *int32
	def, limit int
	// group, if not nil, is the name of a group that must exist, and prefix the keys listed;
	// without it those of the call's account and region.
	group  *string
	prefix []string
}

// page is a page of what an account has in a region.
func (s *Service) page(c *guard.Call, next *string, records *int32, def, limit int) page {
	return page{s: s, c: c, next: next, records: records, def: def, limit: limit, prefix: []string{c.Region, c.Account()}}
}

// of narrows a page to what belongs to one group, which must exist.
func (p page) of(group *string) page {
	if group != nil {
		p.group, p.prefix = group, append(p.prefix, *group)
	}
	return p
}

// paged answers a listing. walk yields the entries with their keys, in the order of these; the
// range tells where the page begins, and what walk yields before that is passed over.
func paged[E any](ctx context.Context, p page, walk func(tx store.Tx, r store.Range, yield func(key string, e E) bool) error) (out []E, next *string, err error) {
	limit, err := bound(p.records, p.def, p.limit)
	if err != nil {
		return nil, nil, err
	}
	prefix := store.Key(p.prefix...)
	from, err := after(p.next, prefix)
	if err != nil {
		return nil, nil, err
	}
	err = p.s.listing(ctx, p.c, func(tx store.Tx) error {
		out, next = []E{}, nil
		if p.group != nil {
			if _, ok, err := groupTable.Get(tx, p.c.Region, p.c.Account(), *p.group); err != nil {
				return err
			} else if !ok {
				return notFound(*p.group)
			}
		}
		last := ""
		return walk(tx, store.Range{Prefix: prefix, After: from}, func(key string, e E) bool {
			if key <= from {
				return true
			}
			if len(out) == limit {
				next = token(last)
				return false
			}
			out, last = append(out, e), key
			return true
		})
	})
	return out, next, err
}

// scan shows the records of a range to see, until it returns false.
func scan[T any](tx store.Tx, table store.Table[T], r store.Range, see func(key []string, rec *T) bool) error {
	for rec, err := range table.ScanRange(tx, r) {
		if err != nil {
			return err
		}
		if !see(rec.Key, &rec.Value) {
			return nil
		}
	}
	return nil
}
