// Package ec2test is EC2's operations as tests ask them, of whichever package they are.
package ec2test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// Account is that of a test's callers.
const Account = "111122223333"

// A Desk is operations in a world of their own.
type Desk struct {
	*guardtest.World
	Ops map[string]guard.Handler
}

// New makes a Desk with the operations of a service.
func New(t *testing.T, ops func(*guard.Guard) map[string]guard.Handler) *Desk {
	t.Helper()
	w := guardtest.New(t)
	return &Desk{w, ops(w.Guard)}
}

// Try serves a request; the name of its type tells the operation.
func (d *Desk) Try(as guard.Caller, in any) (any, error) {
	op := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Request")
	return d.Invoke(d.T.Context(), as, ec2api.Service(), d.Ops, op, in)
}

// Ask serves a request that must succeed.
func Ask[Out any](d *Desk, as guard.Caller, in any) *Out {
	d.T.Helper()
	out, err := d.Try(as, in)
	d.Must(err)
	return out.(*Out)
}

// Refuse serves a request that must fail.
func (d *Desk) Refuse(as guard.Caller, in any, code, message string) {
	d.T.Helper()
	_, err := d.Try(as, in)
	guardtest.WantError(d.T, err, code, message)
}

// Count is how many records a bucket of the store has.
func (d *Desk) Count(bucket string) (n int) {
	d.T.Helper()
	d.View(func(tx store.Tx) error {
		n = 0
		for _, err := range tx.Scan(bucket, store.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n
}

// Root is the root user of Account.
func (d *Desk) Root() guard.Caller { return d.Lookup(Account) }

// Allowed is a user of Account with one statement that allows; its parts are JSON.
func (d *Desk) Allowed(name, action, resource, condition string) guard.Caller {
	d.T.Helper()
	if condition == "" {
		condition = "{}"
	}
	return d.User(Account, name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":`+action+`,"Resource":`+resource+`,"Condition":`+condition+`}]}`)
}

// Filter is one of a request's.
func Filter(name string, values ...string) ec2api.Filter {
	return ec2api.Filter{Name: &name, Values: values}
}

// Tags are keys and values in turn.
func Tags(pairs ...string) (tags []ec2api.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, ec2api.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return tags
}
