package guard_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/store"
)

// Grants can only add to what policies allow. Source: KMS Developer Guide, "Grants in AWS KMS".
func TestGrantsAreReadOnlyWherePoliciesDoNotAllow(t *testing.T) {
	w := guardtest.New(t)
	able, unable := w.Lookup(admin), w.User(account, "ana", nothing)
	forbidden := w.User(account, "bea", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:*","Resource":"*"}]}`)
	tests := []struct {
		name    string
		as      guard.Caller
		actions []string
		grants  []string // operations of the caller's grant, per part
		asked   []int    // parts whose grants are read
		want    string   // "" is allowed
		by      string
	}{
		{"policies allow", able, []string{"kms:Decrypt"}, []string{"Decrypt"}, nil, "allowed", "identity"},
		{"a grant allows", unable, []string{"kms:Decrypt"}, []string{"Decrypt"}, []int{0}, "allowed", "grant"},
		{"a grant is for another operation", unable, []string{"kms:Decrypt"}, []string{"Encrypt"}, []int{0}, "implicitDeny", "identity"},
		{"an explicit deny wins", forbidden, []string{"kms:Decrypt"}, []string{"Decrypt"}, []int{0}, "explicitDeny", "identity"},
		{"only of the part that needs it", unable, []string{"sqs:SendMessage", "kms:Decrypt"}, []string{"Decrypt", "Decrypt"}, []int{1}, "allowed", "grant"},
		{"no source", unable, []string{"kms:Decrypt"}, nil, nil, "implicitDeny", "identity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []int
			check := guard.Check{}
			for i, action := range tt.actions {
				p := onKey(t, action)
				if action == "sqs:SendMessage" {
					p = part(action)
				}
				check.Parts = append(check.Parts, p)
				if i < len(tt.grants) {
					check.Grants = append(check.Grants, func(store.Tx) ([]authz.Grant, error) {
						asked = append(asked, i)
						return []authz.Grant{{ID: "g", Grantee: tt.as.Principal.ARN, Operations: []string{tt.grants[i]}}}, nil
					})
				}
			}
			c := newCall(tt.as, "kms", "Decrypt")
			_, err := w.Guard.Invoke(t.Context(), c, &in{}, guard.HandleVoid(func(_ context.Context, c *guard.Call, _ *in) error {
				return w.Guard.View(t.Context(), c, func(tx store.Tx) error {
					_, err := w.Guard.Authorize(tx, c, check)
					return err
				})
			}))
			_, ds := only(t, w, c)
			last := ds[0].Parts[len(ds[0].Parts)-1]
			if (err == nil) != (tt.want == "allowed") || ds[0].Outcome != tt.want || last.By != tt.by {
				t.Errorf("err = %v, decision = %+v", err, ds[0])
			}
			if !slices.Equal(asked, tt.asked) {
				t.Errorf("grants read of parts %v, want %v", asked, tt.asked)
			}
		})
	}
}

// Without its grants it is not known whether a request is allowed.
func TestGrantsThatCannotBeReadFailTheRequest(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.User(account, "ana", nothing), "kms", "Decrypt")
	err := w.Guard.View(t.Context(), c, func(tx store.Tx) error {
		_, err := w.Guard.Authorize(tx, c, guard.Check{
			Parts:  []authz.Part{onKey(t, "kms:Decrypt")},
			Grants: []guard.GrantSource{func(store.Tx) ([]authz.Grant, error) { return nil, errTest }},
		})
		return err
	})
	if _, denied := guard.Denied(err); denied || !errors.Is(err, errTest) {
		t.Errorf("err = %v", err)
	}
}
