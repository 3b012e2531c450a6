package ec2

import (
	"github.com/kagimori/kagimori/internal/store"
)

// A registry keeps resources that belong to an account and that others may use: snapshots and
// images. What others may use is kept a second time, where everybody finds it by its id alone; so
// an account's list is two scans, whatever others own.
type registry[T any] struct {
	own    store.Table[T] // region, owner, id
	shared store.Table[T] // region, id
}

func newRegistry[T any](bucket string) registry[T] {
	return registry[T]{
		own:    store.Table[T]{Bucket: bucket, Version: 1},
		shared: store.Table[T]{Bucket: bucket + "-shared", Version: 1},
	}
}

// find reads a resource that an account owns or that is shared, with whomever.
func (r registry[T]) find(tx store.Tx, region, account, id string) (T, bool, error) {
	rec, ok, err := r.own.Get(tx, region, account, id)
	if ok || err != nil {
		return rec, ok, err
	}
	return r.shared.Get(tx, region, id)
}

// list reads what an account owns and what is shared, with whomever; what is both comes once. ours
// tells whether the account owns a resource.
func (r registry[T]) list(tx store.Tx, region, account string, ours func(*T) bool) ([]T, error) {
	var all []T
	for rec, err := range r.own.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		all = append(all, rec.Value)
	}
	for rec, err := range r.shared.Scan(tx, region) {
		if err != nil {
			return nil, err
		}
		if !ours(&rec.Value) {
			all = append(all, rec.Value)
		}
	}
	return all, nil
}

// add writes a new resource, which nobody shares yet.
func (r registry[T]) add(tx store.Tx, region, owner, id string, rec T) error {
	return r.own.Put(tx, rec, region, owner, id)
}

// put writes a resource; shared tells whether anybody else may use it.
func (r registry[T]) put(tx store.Tx, region, owner, id string, rec T, shared bool) error {
	if err := r.own.Put(tx, rec, region, owner, id); err != nil {
		return err
	}
	if shared {
		return r.shared.Put(tx, rec, region, id)
	}
	return r.shared.Delete(tx, region, id)
}

// remove deletes a resource.
func (r registry[T]) remove(tx store.Tx, region, owner, id string) error {
	if err := r.own.Delete(tx, region, owner, id); err != nil {
		return err
	}
	return r.shared.Delete(tx, region, id)
}
