package trail_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/trail"
)

func TestAppend(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	want := record(1)
	want.AdditionalEventData = trail.Extra{{Key: "keyMaterialId", Value: "m"}}
	want.UserIdentity.SessionContext = &trail.SessionContext{
		SessionIssuer: trail.SessionIssuer{Type: "Role", ARN: "arn:aws:iam::111122223333:role/r", AccountID: "111122223333", UserName: "r"},
		Attributes:    &trail.SessionAttributes{CreationDate: epoch.Truncate(time.Second), MFAAuthenticated: true},
	}
	if err := tr.Append(want); err != nil {
		t.Fatal(err)
	}
	if want.Kagimori.Sequence != 1 || want.Kagimori.Previous != strings.Repeat("0", 64) || want.Kagimori.Version != 1 {
		t.Errorf("place %+v", want.Kagimori)
	}
	got, err := tr.Get(t.Context(), "request-1")
	if err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	want.EventTime = want.EventTime.Truncate(time.Second)
	if d := cmp.Diff(*want, got[0]); d != "" {
		t.Error(d)
	}
	line := f.lines(t, 1)[0]
	for _, part := range []string{
		`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":`, `"eventTime":"2026-03-04T05:06:08Z"`, `"mfaAuthenticated":"true"`,
		`"userAgent":"<test> & co"`, `"responseElements":null`, `"requestID":"request-1"`, `"ARN":"arn:key/1"`,
		`"kagimori":{"version":1,"decisions":[{"outcome":"allowed"}],"sequence":1,"previous":"000`,
	} {
		if !bytes.Contains(line, []byte(part)) {
			t.Errorf("no %s in %s", part, line)
		}
	}
	appendRecords(t, tr, 2, 4)
	lines := f.lines(t, 1)
	sum := sha256.Sum256(bytes.TrimSpace(lines[1]))
	if !bytes.Contains(lines[2], []byte(`"sequence":3,"previous":"`+hex.EncodeToString(sum[:])+`"`)) {
		t.Errorf("line 3 does not carry the hash of line 2: %s", lines[2])
	}
	verify(t, tr)
	info, err := os.Stat(filepath.Join(f.path, segment(1)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestServiceEvent(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	rec := record(1)
	rec.UserIdentity = trail.UserIdentity{AccountID: "111122223333", InvokedBy: "AWS Internal"}
	rec.EventType, rec.ServiceEventDetails, rec.RequestParameters = "AwsServiceEvent", json.RawMessage(`{"keyId":"k"}`), nil
	if err := tr.Append(rec); err != nil {
		t.Fatal(err)
	}
	line := string(f.lines(t, 1)[0])
	for _, part := range []string{`"userIdentity":{"accountId":"111122223333","invokedBy":"AWS Internal"}`, `"serviceEventDetails":{"keyId":"k"}`, `"requestParameters":null`} {
		if !strings.Contains(line, part) {
			t.Errorf("no %s in %s", part, line)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	bad := record(1)
	bad.ResponseElements = json.RawMessage(`{`)
	if err := tr.Append(bad); err == nil {
		t.Error("bad JSON was taken")
	}
	long := record(1)
	long.UserAgent = strings.Repeat("x", 16<<20)
	if err := tr.Append(long); !errors.Is(err, trail.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	appendRecords(t, tr, 2, 3)
	if d := cmp.Diff([]string{"2"}, ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
	verify(t, tr)
	closeTrail(t, tr)
	closeTrail(t, tr)
	if err := tr.Append(record(3)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestConcurrentAppends(t *testing.T) {
	for _, sync1 := range []bool{false, true} {
		f := newFolder(t)
		tr := f.open(t, func(c *trail.Config) { c.Sync, c.MaxSegment = sync1, 20000 })
		const n = 200
		var (
			wg   sync.WaitGroup
			recs [n]*trail.Record
		)
		for i := range n {
			recs[i] = record(i)
			wg.Go(func() {
				if err := tr.Append(recs[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		verify(t, tr)
		seen := map[uint64]bool{}
		for _, r := range recs {
			seen[r.Kagimori.Sequence] = true
		}
		if len(seen) != n || !seen[1] || !seen[n] {
			t.Errorf("%d places for %d records", len(seen), n)
		}
		if got := ids(t, tr, trail.Filter{}); len(got) != n {
			t.Errorf("%d records", len(got))
		}
		closeTrail(t, tr)
		verify(t, f.open(t, nil))
	}
}

func TestReopen(t *testing.T) {
	f := newFolder(t)
	for i := range 5 { // each run leaves a checkpoint and goes on
		tr := f.open(t, nil)
		verify(t, tr)
		appendRecords(t, tr, 2*i, 2*i+2)
		closeTrail(t, tr)
	}
	tr := f.open(t, nil)
	if d := cmp.Diff(numbers(0, 10), ids(t, tr, trail.Filter{})); d != "" {
		t.Error(d)
	}
	verify(t, tr)
	closeTrail(t, tr) // nothing was written: no checkpoint
	if d := cmp.Diff([]string{segment(1)}, f.files(t)); d != "" {
		t.Error(d)
	}
	if n := bytes.Count(f.read(t, segment(1)), []byte(`{"checkpoint":`)); n != 5 {
		t.Errorf("%d checkpoints", n)
	}
}

func TestRotation(t *testing.T) {
	f := newFolder(t)
	small := func(c *trail.Config) { c.MaxSegment = 3000 }
	tr := f.open(t, small)
	appendRecords(t, tr, 0, 40)
	verify(t, tr)
	last := 0
	waitFor(t, "compressed segments", func() bool {
		names := f.files(t)
		plain := 0
		for _, n := range names {
			if !strings.HasSuffix(n, packed) {
				plain++
			}
		}
		last = len(names)
		return plain == 2 && len(names) > 8
	})
	verify(t, tr)
	if d := cmp.Diff(numbers(0, 40), ids(t, tr, trail.Filter{})); d != "" {
		t.Errorf("from the index: %s", d)
	}
	lines := bytes.Split(bytes.TrimSpace(f.read(t, segment(3)+packed)), []byte("\n"))
	if end := lines[len(lines)-1]; !bytes.HasPrefix(end, []byte(`{"checkpoint":{"version":1,"time":"2026-03-04T05:06:07Z","segment":3,"sequence":`)) {
		t.Errorf("segment 3 ends with %s", end)
	}
	closeTrail(t, tr)
	if names := f.files(t); len(names) != last {
		t.Errorf("files %v", names)
	}
	tr = f.open(t, small)
	verify(t, tr)
	appendRecords(t, tr, 40, 42)
	if d := cmp.Diff(numbers(0, 42), ids(t, tr, trail.Filter{})); d != "" {
		t.Errorf("after opening: %s", d)
	}
}

func TestPruning(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, func(c *trail.Config) { c.MaxSegment, c.MaxTotal, c.MinAge = 3000, 9000, time.Nanosecond })
	appendRecords(t, tr, 0, 60)
	waitFor(t, "pruning", func() bool {
		return !slices.ContainsFunc(f.files(t), func(n string) bool { return strings.HasPrefix(n, "trail-00000001") })
	})
	closeTrail(t, tr)
	tr = f.open(t, nil)
	verify(t, tr)
	got := ids(t, tr, trail.Filter{})
	if len(got) == 0 || len(got) >= 60 || got[0] != "59" {
		t.Errorf("kept %v", got)
	}
	if got := ids(t, tr, trail.Filter{RequestID: "request-0"}); got != nil {
		t.Errorf("a removed record was found: %v", got)
	}
}

// What is younger than a day stays until all segments are twice as large as they may be: with the
// bound of TestPruning nothing of a few goes, and of many the oldest do.
func TestYoungSegmentsStay(t *testing.T) {
	for _, tt := range []struct {
		records int
		gone    bool
	}{{18, false}, {100, true}} {
		f := newFolder(t)
		tr := f.open(t, func(c *trail.Config) { c.MaxSegment, c.MaxTotal = 3000, 9000 })
		appendRecords(t, tr, 0, tt.records)
		first := func() bool {
			return slices.ContainsFunc(f.files(t), func(n string) bool { return strings.HasPrefix(n, "trail-00000001") })
		}
		if tt.gone {
			waitFor(t, "pruning", func() bool { return !first() })
		}
		closeTrail(t, tr)
		var size int
		for _, n := range f.files(t) {
			size += len(f.read(t, n))
		}
		t.Logf("%d records: %d bytes in %d files", tt.records, size, len(f.files(t)))
		if !tt.gone && !first() {
			t.Errorf("a young segment was removed: %v", f.files(t))
		}
	}
}

// After a crash the last line may be cut off anywhere.
func TestTornLine(t *testing.T) {
	f := newFolder(t)
	tr := f.open(t, nil)
	appendRecords(t, tr, 0, 3)
	whole := f.read(t, segment(1)) // what the disk holds if the process dies now
	closeTrail(t, tr)
	third := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for _, cut := range []int{third, third + 1, third + 100, len(whole) - 2, len(whole) - 1, 0, 1} {
		f := newFolder(t)
		f.write(t, segment(1), whole[:cut])
		var log bytes.Buffer
		tr := f.open(t, func(c *trail.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		kept := min(2, cut) // the first two, or none
		if cut < third {
			kept = 0
		}
		if torn := cut != third && cut != 0; torn != strings.Contains(log.String(), "cut off") {
			t.Errorf("cut at %d: log %q", cut, &log)
		}
		rec := record(9)
		if err := tr.Append(rec); err != nil || rec.Kagimori.Sequence != uint64(kept+1) {
			t.Errorf("cut at %d: sequence %d, %v", cut, rec.Kagimori.Sequence, err)
		}
		verify(t, tr)
		if d := cmp.Diff(append([]string{"9"}, numbers(0, kept)...), ids(t, tr, trail.Filter{})); d != "" {
			t.Errorf("cut at %d: %s", cut, d)
		}
		closeTrail(t, tr)
	}
}

// The process may die at each step of a rotation.
func TestCrashInRotation(t *testing.T) {
	for _, tt := range []struct {
		name  string
		crash func(f folder)
	}{
		{"next segment is empty", func(f folder) { f.write(t, segment(2), nil) }},
		{"half packed", func(f folder) { f.write(t, segment(1)+packed+".tmp", []byte("x")); f.write(t, segment(2), nil) }},
		{"half packed by an earlier version", func(f folder) { f.write(t, segment(1)+".gz.tmp", []byte("x")); f.write(t, segment(2), nil) }},
		{"plain and packed", func(f folder) { f.pack(t, 1, packed, true); f.write(t, segment(2), nil) }},
		{"packed only", func(f folder) { f.pack(t, 1, packed, false) }},
		{"packed by an earlier version", func(f folder) { f.pack(t, 1, gzipped, false) }},
		{"packed by an earlier version, and by this one", func(f folder) { f.pack(t, 1, gzipped, true); f.pack(t, 1, packed, false) }},
		{"foreign files", func(f folder) {
			f.write(t, "notes.txt", nil)
			f.write(t, "trail-x.jsonl", nil)
			f.write(t, "trail-00000009.jsonl.bak", nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			tr := f.open(t, nil)
			appendRecords(t, tr, 0, 3)
			closeTrail(t, tr)
			tt.crash(f)
			tr = f.open(t, nil)
			appendRecords(t, tr, 3, 4)
			verify(t, tr)
			if d := cmp.Diff(numbers(0, 4), ids(t, tr, trail.Filter{})); d != "" {
				t.Error(d)
			}
			if slices.ContainsFunc(f.files(t), func(n string) bool { return strings.HasSuffix(n, ".tmp") }) {
				t.Error("a half file is left")
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	dir := newFolder(f)
	tr := dir.open(f, nil)
	appendRecords(f, tr, 0, 2)
	closeTrail(f, tr)
	good := dir.read(f, segment(1))
	f.Add(good)
	f.Add(good[:len(good)-7])
	f.Add(append(slices.Clone(good), "{}\n"...))
	f.Add([]byte("\n\n{\"kagimori\":{\"sequence\":18446744073709551615},\"checkpoint\":{}}\nnull\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Whatever lies there, the log opens, keeps its lines and takes records that are found.
		dir := newFolder(t)
		dir.write(t, segment(1), data)
		for i := range 2 {
			tr := dir.open(t, nil)
			if err := tr.Append(record(1000 + i)); err != nil {
				t.Fatal(err)
			}
			if got := ids(t, tr, trail.Filter{RequestID: fmt.Sprintf("request-%d", 1000+i)}); len(got) == 0 {
				t.Fatal("the record is lost")
			}
			closeTrail(t, tr)
		}
		whole := data[:bytes.LastIndexByte(data, '\n')+1]
		if now := dir.read(t, segment(1)); !bytes.HasPrefix(now, whole) {
			t.Fatal("whole lines were changed")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, parallel := range []bool{false, true} {
		b.Run(fmt.Sprintf("parallel=%t", parallel), func(b *testing.B) {
			tr := newFolder(b).open(b, nil)
			b.ReportAllocs()
			if parallel {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := tr.Append(record(1)); err != nil {
							b.Error(err)
						}
					}
				})
				return
			}
			rec := record(1)
			for b.Loop() {
				if err := tr.Append(rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
