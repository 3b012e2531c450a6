package guard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/trail"
)

const (
	account = "111122223333"
	key     = "arn:aws:kms:us-west-2:111122223333:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	admin   = account + "ADMIN"
	nothing = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`
)

// things is what the handlers of these tests change.
var things = store.Table[string]{Bucket: "test/thing", Version: 1}

// in is the request of a made-up operation.
type in struct{ Name string }

func newCall(as guard.Caller, service, operation string) *guard.Call {
	return &guard.Call{ID: guard.NewRequestID(), Service: service, Operation: operation, Region: guardtest.Region, Caller: as}
}

// part is an action without a resource policy.
func part(action string) authz.Part {
	return authz.Part{Action: action, Resource: authz.Resource{ARN: "*", Account: account}}
}

// onKey is an action on a key whose policy leaves everything to the account.
func onKey(t *testing.T, action string) authz.Part {
	t.Helper()
	doc, err := policy.Parse([]byte(policy.DefaultKeyPolicy(account)), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	d := authz.Compile(doc, policy.Key)
	d.Name, d.Owner = key, account
	return authz.Part{Action: action, Resource: authz.Resource{ARN: key, Account: account}, Policy: d, Authoritative: true}
}

// read is a handler that decides parts in a View.
func read(w *guardtest.World, parts ...authz.Part) guard.Handler {
	return guard.Handle(func(ctx context.Context, c *guard.Call, _ *in) (*string, error) {
		err := w.Guard.View(ctx, c, func(tx store.Tx) error {
			_, err := w.Guard.Authorize(tx, c, guard.Check{Parts: parts})
			return err
		})
		return new("the answer"), err
	})
}

// write is a handler that decides parts and puts a thing.
func write(w *guardtest.World, parts ...authz.Part) guard.Handler {
	return guard.HandleVoid(func(ctx context.Context, c *guard.Call, r *in) error {
		return w.Guard.Update(ctx, c, func(tx store.Tx) error {
			c.Touch(key, account, "AWS::KMS::Key")
			if err := things.Put(tx, r.Name, r.Name); err != nil { // before the decision: it must not stay
				return err
			}
			if _, err := w.Guard.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
				return err
			}
			c.Respond(&in{"made " + r.Name})
			return nil
		})
	})
}

// records are those of a call, newest first.
func records(t *testing.T, w *guardtest.World, c *guard.Call) []trail.Record {
	t.Helper()
	out, err := w.Trail.Get(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// only is the one record of a call with its decisions.
func only(t *testing.T, w *guardtest.World, c *guard.Call) (trail.Record, []guard.Recorded) {
	t.Helper()
	all := records(t, w, c)
	if len(all) != 1 {
		t.Fatalf("%d records: %+v", len(all), all)
	}
	return all[0], decisions(t, &all[0])
}

func decisions(t *testing.T, r *trail.Record) []guard.Recorded {
	t.Helper()
	out, err := guard.Decisions(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func exists(w *guardtest.World, name string) (ok bool) {
	w.View(func(tx store.Tx) (err error) {
		_, ok, err = things.Get(tx, name)
		return err
	})
	return ok
}

var errTest = errors.New("made up")
