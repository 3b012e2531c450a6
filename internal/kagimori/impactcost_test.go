package kagimori_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/impact"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// many are volumes of running instances under one key, and more grants than that.
type many struct {
	kms.Questions
	key             string
	volumes, grants int
}

func instanceID(i int) string { return fmt.Sprintf("i-%017x", i) }

func volumeID(i int) string { return fmt.Sprintf("vol-%017x", i) }

// Grant finds one of them.
func (m many) Grant(tx store.Tx, keyARN, id string) (authz.Grant, bool, error) {
	for g := range m.Grants(tx, keyARN) {
		if g.ID == id {
			return g, true, nil
		}
	}
	return authz.Grant{}, false, nil
}

// Grants yields an attach grant for each volume, and others.
func (m many) Grants(store.Tx, string) iter.Seq2[authz.Grant, error] {
	return func(yield func(authz.Grant, error) bool) {
		for i := range m.grants {
			g := authz.Grant{
				ID: fmt.Sprint("g", i), Grantee: arn.InfrastructureSession(accountG, instanceID(i)), IssuingAccount: accountG,
				Operations: []string{"Decrypt"}, ContextSubset: map[string]string{launch.ContextKey: volumeID(i)},
			}
			if !yield(g, nil) {
				return
			}
		}
	}
}

// Uses yields each volume, to be opened again, and its instance, to be started.
func (m many) Uses(_ store.Tx, region, account string) iter.Seq2[kagimori.KeyUse, error] {
	return func(yield func(kagimori.KeyUse, error) bool) {
		for i := range m.volumes {
			spec := launch.Spec{
				Operation: launch.ReopenVolumes, Region: region, Account: account, InstanceID: instanceID(i),
				Devices: []launch.Device{{VolumeID: volumeID(i), Grant: launch.GrantRef{ID: fmt.Sprint("g", i)},
					Source: launch.Source{Kind: launch.Existing, Encrypted: true, KeyARN: m.key, ContextID: volumeID(i)}}},
			}
			if !yield(kagimori.KeyUse{Use: impact.Use{Kind: impact.Volume, ID: volumeID(i), When: impact.HostRestart, Spec: spec}}, nil) {
				return
			}
			spec.Operation = launch.StartInstances
			if !yield(kagimori.KeyUse{Use: impact.Use{Kind: impact.Instance, ID: instanceID(i), When: impact.Restart, Spec: spec}}, nil) {
				return
			}
		}
	}
}

// TestImpactOfManyVolumes: 10,000 volumes under a key with 50,000 grants are one question, whose
// answer is bounded and counts all. What it costs grows with what there is, not with its square.
func TestImpactOfManyVolumes(t *testing.T) {
	k := newKit(t)
	m := many{Questions: k.kms.Questions(), key: k.newKey(accountG), volumes: 10000, grants: 50000}
	few := m
	few.volumes, few.grants = m.volumes/10, m.grants/10
	timed := func(m many, ch kagimoriapi.ImpactChange) (*kagimoriapi.PredictImpactResponse, time.Duration) {
		svc := kagimori.New(kagimori.Config{Guard: k.Guard, Trail: k.Trail, Keys: m, Launches: m})
		began := time.Now()
		_, out, err := call(k, kagimoriapi.Service(), svc.Operations(), k.Lookup(accountG+"ADMIN"), "PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &ch})
		k.Must(err)
		return out.(*kagimoriapi.PredictImpactResponse), time.Since(began)
	}
	ask := func(ch kagimoriapi.ImpactChange) *kagimoriapi.PredictImpactResponse {
		for try := 1; ; try++ { // what else the machine does may count for one and not for the other
			_, one := timed(few, ch)
			out, ten := timed(m, ch)
			if ten < 40*one {
				return out
			}
			if try == 5 {
				t.Errorf("%s: a tenth takes %s, all takes %s", *ch.Type, one, ten)
				return out
			}
		}
	}
	out := ask(kagimoriapi.ImpactChange{Type: new("DISABLE_KEY"), KeyId: &m.key})
	count := map[string]int32{}
	for _, total := range out.Totals {
		count[*total.ResourceType] = *total.Count
	}
	if count["volume"] != 10000 || count["instance"] != 10000 || len(out.Effects) != 1000 || !*out.Truncated {
		t.Errorf("disabled: %v, %d effects, truncated %v", count, len(out.Effects), *out.Truncated)
	}
	out = ask(kagimoriapi.ImpactChange{Type: new("REVOKE_GRANT"), KeyId: &m.key, GrantId: new("g17")})
	if len(out.Effects) != 1 || *out.Effects[0].ResourceId != volumeID(17) || *out.Effects[0].When != "HOST_RESTART" || *out.Effects[0].Refusal.AllowedBy[0].GrantId != "g17" {
		t.Errorf("one grant revoked: %d effects, totals %+v", len(out.Effects), out.Totals)
	}
}

// What an account may ask of a key of another, and what it learns.
func TestImpactOnKeysOfOthers(t *testing.T) {
	k := newKit(t)
	key := k.newKey(accountK)
	k.addStatements(accountK, key, `{"Sid":"SecretOfK","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["kms:Decrypt","kms:CreateGrant"],"Resource":"*"}`)
	admin := k.Lookup(accountA + "ADMIN")
	_, made, err := k.useKMS(admin, "CreateGrant", &kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new("arn:aws:iam::111122223333:root"), Operations: []string{"Decrypt"}})
	k.Must(err)
	grant := made.(*kmsapi.CreateGrantResponse).GrantId
	ask := func(account string, ch kagimoriapi.ImpactChange) (*kagimoriapi.PredictImpactResponse, error) {
		_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), k.Lookup(account+"ADMIN"), "PredictImpact", &kagimoriapi.PredictImpactRequest{Change: &ch})
		if err != nil {
			return nil, err
		}
		return out.(*kagimoriapi.PredictImpactResponse), nil
	}
	for _, ch := range []kagimoriapi.ImpactChange{
		{Type: new("REMOVE_STATEMENT"), KeyId: &key, Statement: new("SecretOfK")},
		{Type: new("REPLACE_KEY_POLICY"), KeyId: &key, Policy: new(`{"Version":"2012-10-17","Statement":[]}`)},
	} {
		if _, err := ask(accountA, ch); err == nil || len(err.Error()) < 27 || err.Error()[:27] != "ResourceNotFoundException: " {
			t.Errorf("%s by another account: %v", *ch.Type, err)
		}
	}
	if _, err := ask(accountG, kagimoriapi.ImpactChange{Type: new("REVOKE_GRANT"), KeyId: &key, GrantId: grant}); err == nil {
		t.Error("a grant between others can be asked about")
	}
	out, err := ask(accountA, kagimoriapi.ImpactChange{Type: new("DISABLE_KEY"), KeyId: &key})
	k.Must(err)
	if len(out.Effects) == 0 || *out.Effects[0].AccountId != accountA || *out.Effects[0].Refusal.ErrorCode != "DisabledException" {
		t.Errorf("disabled: %s", dump(t, out))
	}
	for _, e := range out.Effects {
		for _, m := range e.Refusal.AllowedBy {
			if m.Sid != nil && *m.Sid == "SecretOfK" {
				t.Errorf("A sees the policy of K: %s", dump(t, e))
			}
		}
	}
	mine, err := ask(accountK, kagimoriapi.ImpactChange{Type: new("REMOVE_STATEMENT"), KeyId: &key, Statement: new("SecretOfK")})
	k.Must(err)
	if got := dump(t, mine); len(mine.Effects) == 0 || *mine.Effects[0].AccountId != accountA {
		t.Errorf("the owner sees %s", got)
	}
}
