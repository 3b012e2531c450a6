package directory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

const (
	denyX  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*"}]}`
	denyXs = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"}]}`
)

// organization changes the organization of the account in one transaction.
func (k *kit) organization(fn func(store.Tx, directory.Organization) error) {
	k.t.Helper()
	k.update(func(tx store.Tx) error {
		o, ok, err := k.OrganizationOf(tx, account)
		if err == nil && !ok {
			k.t.Error("the account is in no organization")
		}
		if err != nil {
			return err
		}
		return fn(tx, o)
	})
}

// hang makes two policies, p-scp and p-rcp, with both types in force, and hangs them on targets.
func (k *kit) hang(targets ...string) {
	k.t.Helper()
	k.organization(func(tx store.Tx, o directory.Organization) error {
		for t, doc := range map[directory.PolicyType]string{directory.SCP: denyX, directory.RCP: denyXs} {
			id := "p-" + strings.ToLower(string(t)[:1]) + "cp"
			o.Types[t] = directory.TypeState{Enabled: true, Epoch: 1}
			if err := k.PutOrgPolicy(tx, o, directory.OrgPolicy{ID: id, Type: t, Name: id, Document: doc}); err != nil {
				return err
			}
			for _, target := range targets {
				if err := k.PutAttached(tx, o, t, target, []string{t.Full(), id}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// shape is a place as text: role, path, and the levels of both kinds.
func shape(p *directory.Place) string {
	text := func(levels [][]*authz.Document) (out string) {
		for _, level := range levels {
			for _, d := range level {
				out += " " + d.Name[strings.LastIndexByte(d.Name, '/')+1:] + "@" + d.Attached[strings.LastIndexByte(d.Attached, '/')+1:] + "(" + d.Owner + ")"
			}
			out += ";"
		}
		return out
	}
	return fmt.Sprintf("%d %s scp%s rcp%s", p.Role, strings.Join(p.Paths, ","), text(p.SCPs), text(p.RCPs))
}

func TestPlaceNamesLevelsFromTheRootDown(t *testing.T) {
	k := newKit(t, true)
	k.organization(func(tx store.Tx, o directory.Organization) error {
		for _, u := range []directory.Unit{{ID: "ou-a", Parent: o.Root}, {ID: "ou-b", Parent: "ou-a"}} {
			if err := k.PutUnit(tx, o, u); err != nil {
				return err
			}
		}
		m, _, err := k.Member(tx, o, account)
		if err != nil {
			return err
		}
		m.Parent = "ou-b"
		return k.PutMember(tx, o, m)
	})
	k.hang("ou-b", "r-kgmr", directory.DevAccount)
	level := func(id, at string) string {
		full := map[string]string{"p-scp": "p-FullAWSAccess", "p-rcp": "p-RCPFullAWSAccess"}[id]
		return " " + full + "@" + at + "(aws) " + id + "@" + at + "(000000000000);"
	}
	for at, want := range map[string]string{
		account:              "1 o-kagimori00/r-kgmr/ou-a/ou-b/ scp" + level("p-scp", "r-kgmr") + level("p-scp", "ou-b") + " rcp" + level("p-rcp", "r-kgmr") + level("p-rcp", "ou-b"),
		"444455556666":       "1 o-kagimori00/r-kgmr/ scp" + level("p-scp", "r-kgmr") + " rcp" + level("p-rcp", "r-kgmr"),
		directory.DevAccount: "2 o-kagimori00/r-kgmr/ scp rcp",
		"":                   "0  scp rcp",
		"aws":                "0  scp rcp",
	} {
		if diff := cmp.Diff(want, shape(k.place(at))); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
}

func TestLevelsWithoutLimitAreLeftOut(t *testing.T) {
	k := newKit(t, true)
	k.hang() // both types in force, nothing attached
	if got := shape(k.place(account)); got != "1 o-kagimori00/r-kgmr/ scp rcp" {
		t.Errorf("place = %s", got)
	}
}

func TestPlaceIsKeptUntilTheOrganizationChanges(t *testing.T) {
	k := newKit(t, true)
	k.hang("r-kgmr")
	first := k.place(account)
	if k.place(account) != first {
		t.Error("the place was built again")
	}
	k.putUser(directory.User{Name: "u"})
	if k.place(account) != first {
		t.Error("a change outside the organization built the place again")
	}
	k.organization(func(tx store.Tx, o directory.Organization) error {
		return k.PutAttached(tx, o, directory.SCP, "r-kgmr", []string{"p-FullAWSAccess"})
	})
	if p := k.place(account); p == first || len(p.SCPs) != 0 || len(p.RCPs) != 1 {
		t.Errorf("after detaching: %s", shape(p))
	}
}

// An account that is seen for the first time is where it was before anybody knew of it.
func TestSeeingAnAccountDoesNotChangeItsPlace(t *testing.T) {
	k := newKit(t, true)
	k.hang("r-kgmr")
	before := k.place(account)
	if _, _, err := k.Lookup(t.Context(), account, ""); err != nil {
		t.Fatal(err)
	}
	if k.place(account) != before {
		t.Error("the place was built again")
	}
	k.organization(func(tx store.Tx, o directory.Organization) error {
		list, err := k.Members(tx, o)
		if len(list) != 2 || list[0].Account != directory.DevAccount || list[1].Account != account {
			t.Errorf("members = %+v", list)
		}
		return err
	})
}

func TestRolledBackChangeLeavesNoTrace(t *testing.T) {
	k := newKit(t, true)
	k.hang()
	undo := fmt.Errorf("undo")
	err := k.store.Update(t.Context(), func(tx store.Tx) error {
		o, _, err := k.OrganizationOf(tx, account)
		if err != nil {
			return err
		}
		if err := k.PutAttached(tx, o, directory.SCP, account, []string{"p-scp"}); err != nil {
			return err
		}
		p, err := k.Place(tx, account)
		if err == nil && len(p.SCPs) != 1 {
			t.Errorf("inside the transaction: %s", shape(p))
		}
		if err != nil {
			return err
		}
		return undo
	})
	if err != undo {
		t.Fatal(err)
	}
	if p := k.place(account); len(p.SCPs) != 0 {
		t.Errorf("afterwards: %s", shape(p))
	}
}

func TestLostPolicyFailsTheDecision(t *testing.T) {
	k := newKit(t, true)
	k.hang("r-kgmr")
	k.organization(func(tx store.Tx, o directory.Organization) error { return k.DeleteOrgPolicy(tx, o, "p-scp") })
	k.view(func(tx store.Tx) error {
		if p, err := k.Place(tx, account); err == nil {
			t.Errorf("place = %s", shape(p))
		}
		return nil
	})
}

func TestPlacesOfAProductionServer(t *testing.T) {
	k := newKit(t, false)
	k.addAccount(account)
	if p := k.place(account); p.Organization != "" || p.Role != authz.NoOrganization {
		t.Errorf("without an organization: %s", shape(p))
	}
	var o directory.Organization
	k.update(func(tx store.Tx) (err error) {
		if o, err = k.NewOrganization(tx, directory.Member{Account: account, Joined: k.now}); err != nil {
			return err
		}
		return k.PutMember(tx, o, directory.Member{Account: "444455556666", Parent: o.Root})
	})
	for at, want := range map[string]string{
		account:        "2 " + o.ID + "/" + o.Root + "/ scp rcp",
		"444455556666": "1 " + o.ID + "/" + o.Root + "/ scp rcp",
		"777788889999": "0  scp rcp",
	} {
		if got := shape(k.place(at)); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestReadingAPlaceCostsLittle(t *testing.T) {
	for _, targets := range [][]string{nil, {"r-kgmr", account}} {
		k := newKit(t, true)
		if targets != nil {
			k.hang(targets...)
		}
		k.view(func(tx store.Tx) error {
			base := testing.AllocsPerRun(100, func() {
				for bucket, key := range map[string]string{"directory/memberof": account, "directory/organization": directory.DevOrganization} {
					if _, _, err := tx.Get(bucket, store.Key(key)); err != nil {
						t.Fatal(err)
					}
				}
			})
			got := testing.AllocsPerRun(100, func() {
				if _, err := k.Place(tx, account); err != nil {
					t.Fatal(err)
				}
			})
			if got > base {
				t.Errorf("%.0f allocations, %.0f of them for two reads of the store", got, base)
			}
			return nil
		})
	}
}
