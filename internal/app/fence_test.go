package app_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
)

// A lease that ends when its channel is closed.
type lease struct{ done chan struct{} }

func (l lease) Fence() store.Fence    { return store.Fence{Lease: "controllers", Token: 7} }
func (l lease) Done() <-chan struct{} { return l.done }

// fences is a store that notes the fences of updates, and refuses those of a lease that another node has.
type fences struct {
	store.Store
	seen  []store.Fence
	taken bool
}

func (f *fences) Update(ctx context.Context, fn func(store.Tx) error) error {
	fence, ok := store.FenceOf(ctx)
	if ok {
		f.seen = append(f.seen, fence)
	}
	if ok && f.taken {
		return store.ErrFenced
	}
	return f.Store.Update(ctx, fn)
}

func callOf(w *guardtest.World, as guard.Caller, service, op string) *guard.Call {
	return &guard.Call{ID: guard.NewRequestID(), Service: service, Operation: op, Region: guardtest.Region, Caller: as, Time: w.Clock.Now()}
}

// What EC2 asks of KMS is under EC2's lease, although KMS has a guard of its own: without the lease no grant is
// made, and when it is known to be over no data key either.
func TestCallsBetweenServicesAreFenced(t *testing.T) {
	w := guardtest.New(t)
	st := &fences{Store: w.Store}
	guarded := func(fence func(context.Context) (context.Context, error)) *guard.Guard {
		return guard.New(guard.Config{Store: st, Directory: w.Directory, Trail: w.Trail, Now: w.Clock.Now, Logger: w.Logger, Fence: fence})
	}
	own := guarded(nil)
	service := kms.New(kms.Config{Guard: own, Module: w.Module, Clock: w.Clock, Logger: w.Logger})
	l := lease{make(chan struct{})}
	ec2 := app.KeysOf(guarded(app.Fence(l)), service)

	admin := w.Lookup("111122223333ADMIN")
	out, err := own.Invoke(t.Context(), callOf(w, admin, "kms", "CreateKey"), &kmsapi.CreateKeyRequest{}, service.Operations()["CreateKey"])
	w.Must(err)
	key := out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
	if len(st.seen) != 0 {
		t.Fatalf("a client's call has a fence: %v", st.seen)
	}
	parent := callOf(w, admin, "ec2", "RunInstances")
	grant := &kmsapi.CreateGrantRequest{KeyId: key, GranteePrincipal: new("arn:aws:iam::111122223333:root"), Operations: []string{"Decrypt"}}
	data := &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: key, KeySpec: new("AES_256")}
	if _, err := ec2.CreateGrant(t.Context(), parent, admin, grant); err != nil {
		t.Fatal(err)
	}
	if len(st.seen) == 0 || st.seen[0] != l.Fence() {
		t.Errorf("the grant was made under %v", st.seen)
	}
	grants := func() int {
		out, err := own.Invoke(t.Context(), callOf(w, admin, "kms", "ListGrants"), &kmsapi.ListGrantsRequest{KeyId: key}, service.Operations()["ListGrants"])
		w.Must(err)
		return len(out.(*kmsapi.ListGrantsResponse).Grants)
	}
	st.taken = true
	grant.Operations = []string{"Encrypt"}
	if _, err := ec2.CreateGrant(t.Context(), parent, admin, grant); err == nil || grants() != 1 {
		t.Errorf("a grant was made without the lease: %v, %d grants", err, grants())
	}
	if _, err := ec2.GenerateDataKeyWithoutPlaintext(t.Context(), parent, admin, data); err != nil {
		t.Errorf("a data key before the end of the lease is known: %v", err)
	}
	records := w.Trail.Sequence()
	close(l.done)
	if _, err := ec2.GenerateDataKeyWithoutPlaintext(t.Context(), parent, admin, data); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a data key after the lease: %v", err)
	}
	if w.Trail.Sequence() != records {
		t.Error("what was not done is recorded")
	}
}
