package trail_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

// What waits in the store is what encoding/json makes of the record and of where the log was: a program that has
// nothing else reads it.
func TestOutboxIsJSON(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	appendRecords(t, tr, 0, 2)
	want := record(5)
	var raw []byte
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tr.PutTx(tx, want); err != nil {
			return err
		}
		v, ok, err := tx.Get("trail/outbox", store.Key(want.EventID))
		if !ok {
			t.Error("nothing was put")
		}
		raw = v.Data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var entry struct {
		Record trail.Record `json:"record"`
		After  uint64       `json:"after"`
	}
	if err := json.Unmarshal(raw[1:], &entry); err != nil || raw[0] != 1 {
		t.Fatalf("format %d: %v", raw[0], err)
	}
	got := entry.Record
	want.EventTime, want.Kagimori.Version = want.EventTime.Truncate(time.Second), got.Kagimori.Version
	wantJSON, errWant := json.Marshal(want)
	gotJSON, errGot := json.Marshal(got)
	if errWant != nil || errGot != nil || cmp.Diff(string(wantJSON), string(gotJSON)) != "" || entry.After != 2 {
		t.Errorf("%s after %d, want %s after 2 (%v, %v)", gotJSON, entry.After, wantJSON, errWant, errGot)
	}
}

// The log gets what was committed, whatever became of other attempts with the same event.
func TestTheLogHasWhatWasCommitted(t *testing.T) {
	version := func(user string) *trail.Record {
		r := record(5)
		r.UserAgent = user
		return r
	}
	for _, tt := range []struct {
		name   string
		before bool // an attempt that fails comes before, or after
	}{{"a failed attempt before", true}, {"a failed attempt after", false}} {
		t.Run(tt.name, func(t *testing.T) {
			f, s := newFolder(t), newStore(t)
			tr := f.open(t, withStore(s))
			fail := func() {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					return errors.Join(tr.PutTx(tx, version("failed")), errStore)
				})
				if !errors.Is(err, errStore) {
					t.Fatal(err)
				}
			}
			if tt.before {
				fail()
			}
			if err := commit(t, s, tr, version("committed")); err != nil {
				t.Fatal(err)
			}
			if !tt.before {
				fail()
			}
			all, err := tr.Find(t.Context(), trail.Filter{})
			if err != nil || len(all) != 1 || all[0].UserAgent != "committed" {
				t.Errorf("%+v, %v", all, err)
			}
			verify(t, tr)
		})
	}
}

// The memory that a record was made from may be used again when its transaction is over.
func TestRecordsOfChangesOwnTheirMemory(t *testing.T) {
	f, s := newFolder(t), newStore(t)
	tr := f.open(t, withStore(s))
	r := record(5)
	r.Resources = []trail.Resource{{ARN: "arn:aws:kms:us-west-2:111122223333:key/a", AccountID: "111122223333"}}
	r.RequestParameters = []byte(`{"a":"first"}`)
	if err := commit(t, s, tr, r); err != nil {
		t.Fatal(err)
	}
	r.Resources[0].ARN = "arn:aws:kms:us-west-2:111122223333:key/b"
	copy(r.RequestParameters, `{"a":"other"}`)
	all, err := tr.Find(t.Context(), trail.Filter{ResourceARN: "arn:aws:kms:us-west-2:111122223333:key/a"})
	if err != nil || len(all) != 1 || string(all[0].RequestParameters) != `{"a":"first"}` {
		t.Errorf("%+v, %v", all, err)
	}
}
