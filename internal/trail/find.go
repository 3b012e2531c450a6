package trail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"slices"
	"time"
)

// A Filter selects records. Empty fields select everything.
type Filter struct {
	RequestID string
	// Account is that of the caller or of a resource.
	Account, Region, EventName, ResourceARN, PrincipalARN string
	ErrorOnly                                             bool
	Since, Until                                          time.Time // both included, in whole seconds
	Before                                                uint64    // sequence numbers below it; 0 is all
	Limit                                                 int       // 0 is none
}

func (f *Filter) match(h *head) bool {
	if f.RequestID != "" && h.RequestID != f.RequestID || f.EventName != "" && h.EventName != f.EventName ||
		f.Region != "" && h.AWSRegion != f.Region || f.PrincipalARN != "" && h.UserIdentity.ARN != f.PrincipalARN || f.ErrorOnly && h.ErrorCode == "" ||
		!f.Since.IsZero() && h.EventTime.Before(f.Since) || !f.Until.IsZero() && h.EventTime.After(f.Until) {
		return false
	}
	if f.Account != "" && h.RecipientAccountID != f.Account &&
		!slices.ContainsFunc(h.Resources, func(r Resource) bool { return r.AccountID == f.Account }) {
		return false
	}
	return f.ResourceARN == "" || slices.ContainsFunc(h.Resources, func(r Resource) bool { return r.ARN == f.ResourceARN })
}

// needles are texts that a matching line contains.
func (f *Filter) needles() [][]byte {
	var out [][]byte
	for _, s := range []string{f.RequestID, f.EventName, f.PrincipalARN, f.ResourceARN, f.Account, f.Region} {
		if s == "" {
			continue
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b) // the same escaping as encode
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err == nil {
			out = append(out, bytes.TrimSpace(b.Bytes()))
		}
	}
	return out
}

// Get returns the records of a request, newest first; none if the request is not known.
func (t *Trail) Get(ctx context.Context, requestID string) ([]Record, error) {
	if requestID == "" {
		return nil, nil
	}
	return t.Find(ctx, Filter{RequestID: requestID})
}

// Find returns the records that a filter selects, newest first: see Each.
func (t *Trail) Find(ctx context.Context, f Filter) ([]Record, error) {
	var out []Record
	for rec, err := range t.Each(ctx, f) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// fetched is how many records are read at once for those that the index has.
const fetched = 256

// Each yields the records that a filter selects, newest first. It reads the segments for what the
// index no longer holds, as far back as they are kept; ctx, Limit and leaving the loop bound that.
// Records of changes that committed before the call are found too, unless the log cannot be
// written. Lines that are no records are passed over: see Verify. An error is the last that is
// yielded.
func (t *Trail) Each(ctx context.Context, f Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if _, err := t.gather(ctx, math.MaxInt, true); err != nil && ctx.Err() != nil {
			yield(Record{}, ctx.Err())
			return
		}
		found, left := 0, f.Limit
		if left == 0 {
			left = math.MaxInt
		}
		for {
			part := f
			part.Limit = min(left, fetched)
			entries, rest := t.index.find(&part)
			recs, err := t.fetch(ctx, entries)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for i := range recs {
				if h := headOf(&recs[i]); !f.match(&h) {
					continue
				}
				if left--; !yield(recs[i], nil) {
					return
				}
			}
			n := len(entries)
			if found += n; n > 0 { // records may leave the index before the next look
				f.Before = entries[n-1].seq
			}
			if rest.seq > 0 && left > 0 {
				t.scan(ctx, &f, found, left, rest, yield)
				return
			}
			if left <= 0 || n < part.Limit {
				return
			}
		}
	}
}

// fetch reads the records of entries, which are newest first.
func (t *Trail) fetch(ctx context.Context, entries []entry) ([]Record, error) {
	out := make([]Record, 0, len(entries))
	for len(entries) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := entries[0].segment
		end := slices.IndexFunc(entries, func(e entry) bool { return e.segment != n })
		if end < 0 {
			end = len(entries)
		}
		recs, err := t.fetchSegment(ctx, int(n), entries[:end])
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // pruned meanwhile
			return nil, err
		}
		out = append(out, recs...)
		entries = entries[end:]
	}
	return out, nil
}

func (t *Trail) fetchSegment(ctx context.Context, n int, entries []entry) ([]Record, error) {
	out := make([]Record, len(entries))
	take := func(i int, line []byte) error {
		var err error
		if out[i], err = decode(line); err == nil && out[i].Kagimori.Sequence != entries[i].seq {
			err = fmt.Errorf("%w: segment %d has changed", ErrBroken, n)
		}
		return err
	}
	f, err := t.cfg.Dir.Open(plainName(n))
	if err == nil {
		defer f.Close()
		for i, e := range entries {
			line := make([]byte, e.length)
			if _, err := f.ReadAt(line, e.offset); err != nil {
				return nil, fmt.Errorf("trail: segment %d: %w", n, err)
			}
			if err := take(i, line); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("trail: %w", err)
	}
	left := len(entries) // the oldest is the last, and comes first in the segment
	err = t.lines(ctx, n, func(line []byte, offset int64) error {
		if left == 0 {
			return errEnough
		}
		if offset != entries[left-1].offset {
			return nil
		}
		left--
		return take(left, line)
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%w: segment %d has changed", ErrBroken, n)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out, nil
}

// errEnough ends the reading of a segment.
var errEnough = errors.New("trail: enough")

// scan looks into the segments for what the index does not hold. found is how many records the
// index gave, left how many are still wanted.
func (t *Trail) scan(ctx context.Context, f *Filter, found, left int, rest border, yield func(Record, error) bool) {
	nums, err := t.segments()
	if err != nil {
		yield(Record{}, err)
		return
	}
	before := rest.seq
	if f.Before > 0 {
		before = min(before, f.Before)
	}
	needles := f.needles()
	for _, n := range slices.Backward(nums) {
		if n > rest.segment {
			continue
		}
		recs, err := t.scanSegment(ctx, n, f, needles, before)
		if errors.Is(err, fs.ErrNotExist) {
			continue // pruned meanwhile
		}
		if err != nil {
			yield(Record{}, err)
			return
		}
		if f.RequestID != "" && found > 0 && len(recs) == 0 && n != rest.segment {
			return // the records of one request lie close together
		}
		found += len(recs)
		for i := range slices.Backward(recs) {
			if left--; !yield(recs[i], nil) || left == 0 {
				return
			}
		}
	}
}

// scanSegment returns the matching records of a segment, oldest first.
func (t *Trail) scanSegment(ctx context.Context, n int, f *Filter, needles [][]byte, before uint64) ([]Record, error) {
	r, err := t.read(n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.note.misses(f, before) {
		return nil, nil
	}
	var found []Record
	err = r.lines(ctx, n, func(line []byte, _ int64) error {
		for _, needle := range needles {
			if !bytes.Contains(line, needle) {
				return nil
			}
		}
		h, ok := decodeHead(line)
		if !ok || h.Kagimori == nil || h.Kagimori.Sequence >= before || !f.match(&h) {
			return nil
		}
		rec, err := decode(line)
		if err == nil {
			found = append(found, rec)
		}
		return nil
	})
	return found, err
}
