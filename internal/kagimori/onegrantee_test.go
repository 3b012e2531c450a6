package kagimori_test

import (
	"fmt"
	"iter"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// held are grants that one principal holds, on a key of no other.
type held struct {
	kms.Questions
	grants      int
	constrained bool
}

// Grant finds one of them.
func (h held) Grant(tx store.Tx, keyARN, id string) (authz.Grant, bool, error) {
	for g := range h.Grants(tx, keyARN) {
		if g.ID == id {
			return g, true, nil
		}
	}
	return authz.Grant{}, false, nil
}

func (h held) Grants(store.Tx, string) iter.Seq2[authz.Grant, error] {
	return func(yield func(authz.Grant, error) bool) {
		for i := range h.grants {
			g := authz.Grant{
				ID: fmt.Sprint("g", i), Grantee: arn.User(accountG, "/", "admin"), IssuingAccount: accountG, Operations: []string{"Decrypt", "CreateGrant"},
			}
			if h.constrained {
				g.ContextSubset = map[string]string{launch.ContextKey: volumeID(i)}
			}
			if !yield(g, nil) {
				return
			}
		}
	}
}

// One principal may hold all the grants that a key can have: an answer tells what it can do by them, and of
// one that ends that the others allow the same.
func TestOneGranteeOfManyGrants(t *testing.T) {
	k := newKit(t)
	key := k.newKey(accountG)
	_, _, err := k.useKMS(k.Lookup(accountG+"ADMIN"), "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, BypassPolicyLockoutSafetyCheck: new(true), Policy: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/admin"},"Action":["kms:PutKeyPolicy","kms:DescribeKey"],"Resource":"*"}]}`)})
	k.Must(err)
	h := held{Questions: k.kms.Questions(), grants: 50000, constrained: true}
	svc := kagimori.New(kagimori.Config{Guard: k.Guard, Trail: k.Trail, Keys: h, Launches: many{}})
	ask := func(op string, in any) any {
		_, out, err := call(k, kagimoriapi.Service(), svc.Operations(), k.Lookup(accountG+"ADMIN"), op, in)
		k.Must(err)
		return out
	}
	who := ask("WhoCan", &kagimoriapi.WhoCanRequest{KeyArn: &key, Action: new("kms:Decrypt")}).(*kagimoriapi.WhoCanResponse)
	if len(who.Answers) != 1 || *who.Answers[0].EvaluatedEffect != "UNDETERMINED" || len(who.Answers[0].Conditions) != 100 || api.Val(who.Answers[0].MoreGrants) != 49900 {
		t.Fatalf("who can: %s", dump(t, who)[:1000])
	}
	out := ask("PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &kagimoriapi.ImpactChange{Type: new("REVOKE_GRANT"), KeyId: &key, GrantId: new("g17")}}).(*kagimoriapi.PredictImpactResponse)
	if len(out.Effects) != 0 {
		t.Errorf("one of many revoked: %s", dump(t, out))
	}
	out = ask("PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &kagimoriapi.ImpactChange{Type: new("DISABLE_KEY"), KeyId: &key}}).(*kagimoriapi.PredictImpactResponse)
	if len(out.Effects) != 1 || fmt.Sprint(out.Effects[0].Actions) != "[kms:Decrypt kms:CreateGrant]" || len(out.Effects[0].Refusal.AllowedBy) != 101 || api.Val(out.Effects[0].Refusal.MoreGrants) != 49900 {
		t.Errorf("disabled: %s", dump(t, out))
	}
}

// BenchmarkOneGrantee asks about a key on which one principal holds all grants.
func BenchmarkOneGrantee(b *testing.B) {
	for _, n := range []int{2000, 10000, 50000} {
		for _, constrained := range []bool{false, true} {
			k := newKit(b)
			h := held{Questions: k.kms.Questions(), grants: n, constrained: constrained}
			key := k.newKey(accountG)
			svc := kagimori.New(kagimori.Config{Guard: k.Guard, Trail: k.Trail, Keys: h, Launches: many{}})
			admin := k.Lookup(accountG + "ADMIN")
			for _, q := range []struct {
				name string
				in   any
			}{
				{"WhoCan", &kagimoriapi.WhoCanRequest{KeyArn: &key, Action: new("kms:Decrypt")}},
				{"PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &kagimoriapi.ImpactChange{Type: new("REVOKE_GRANT"), KeyId: &key, GrantId: new("g17")}}},
			} {
				b.Run(fmt.Sprintf("%s/%d/constrained=%v", q.name, n, constrained), func(b *testing.B) {
					for b.Loop() {
						_, _, err := call(k, kagimoriapi.Service(), svc.Operations(), admin, q.name, q.in)
						k.Must(err)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/grant")
				})
			}
		}
	}
}
