package directory_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
)

const (
	account = "111122223333"
	trust   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}`
	allowX  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}]}`
)

// kit is a directory over the strict store, with a wall clock that the test moves.
type kit struct {
	*directory.Directory
	t     *testing.T
	store *memory.Store
	now   time.Time
}

func newKit(t *testing.T, dev bool) *kit {
	k := &kit{t: t, store: memory.New(memory.Config{}), now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	m := hsmtest.New(t)
	d, err := directory.New(directory.Config{
		Store: k.store, Keys: m.Box("access keys"), Sessions: directory.SessionBoxes(m.Box), Wall: func() time.Time { return k.now }, Dev: dev,
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Directory = d
	t.Cleanup(func() {
		if err := k.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func (k *kit) update(fn func(store.Tx) error) {
	k.t.Helper()
	if err := k.store.Update(k.t.Context(), fn); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) view(fn func(store.Tx) error) {
	k.t.Helper()
	if err := k.store.View(k.t.Context(), fn); err != nil {
		k.t.Fatal(err)
	}
}

// addAccount makes an account exist without development mode.
func (k *kit) addAccount(id string) {
	k.t.Helper()
	k.update(func(tx store.Tx) error { return directory.Accounts.Put(tx, directory.Account{ID: id}, id) })
}

func (k *kit) putUser(u directory.User) directory.User {
	k.t.Helper()
	u.Account, u.Path = account, "/team/"
	if u.ID == "" {
		u.ID = directory.NewID("AIDA")
	}
	k.update(func(tx store.Tx) error { return k.PutUser(tx, u) })
	return u
}

func (k *kit) putRole(r directory.Role) directory.Role {
	k.t.Helper()
	r.Account, r.Trust = account, trust
	if r.Path == "" {
		r.Path = "/"
	}
	if r.ID == "" {
		r.ID = directory.NewID("AROA")
	}
	k.update(func(tx store.Tx) error { return k.PutRole(tx, r) })
	return r
}

func (k *kit) documents(id directory.Identity) (docs directory.Documents, err error) {
	k.t.Helper()
	verr := k.store.View(k.t.Context(), func(tx store.Tx) error {
		docs, err = k.Documents(tx, &id)
		return nil
	})
	if verr != nil {
		k.t.Fatal(verr)
	}
	return docs, err
}

func (k *kit) place(account string) (p *directory.Place) {
	k.t.Helper()
	k.view(func(tx store.Tx) (err error) {
		p, err = k.Place(tx, account)
		return err
	})
	return p
}

func names(docs []*authz.Document) []string {
	var out []string
	for _, d := range docs {
		out = append(out, d.Name)
	}
	return out
}

func TestResolve(t *testing.T) {
	k := newKit(t, false)
	k.addAccount(account)
	user := k.putUser(directory.User{Name: "Ana"})
	role := k.putRole(directory.Role{Name: "Deployer", Path: "/ci/"})
	tests := []struct {
		name, principal, id string
		ok                  bool
	}{
		{"an account id", account, "", true},
		{"an unknown account id", "999999999999", "", false},
		{"the root of an account", "arn:aws:iam::111122223333:root", "", true},
		{"the root of an unknown account", "arn:aws:iam::999999999999:root", "", false},
		{"a user with its path", "arn:aws:iam::111122223333:user/team/Ana", user.ID, true},
		{"a user without its path", "arn:aws:iam::111122223333:user/Ana", "", false},
		{"a user in other letter case", "arn:aws:iam::111122223333:user/team/ana", "", false},
		{"a role with its path", "arn:aws:iam::111122223333:role/ci/Deployer", role.ID, true},
		{"a role without its path", "arn:aws:iam::111122223333:role/Deployer", "", false},
		{"a missing role", "arn:aws:iam::111122223333:role/ci/Other", "", false},
		{"a session carries no path", "arn:aws:sts::111122223333:assumed-role/Deployer/one", role.ID, true},
		{"a session without a name", "arn:aws:sts::111122223333:assumed-role/Deployer", "", false},
		{"a session of a missing role", "arn:aws:sts::111122223333:assumed-role/Other/one", "", false},
		{"a session of the infrastructure role", "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1", "", true},
		{"a federated user", "arn:aws:sts::111122223333:federated-user/bob", "", true},
		{"a group is no principal", "arn:aws:iam::111122223333:group/admins", "", false},
		{"another partition", "arn:aws-cn:iam::111122223333:root", "", false},
		{"a region", "arn:aws:iam:us-east-1:111122223333:root", "", false},
		{"garbage", "nobody", "", false},
		{"nothing", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k.view(func(tx store.Tx) error {
				id, ok, err := k.Resolve(tx, tt.principal)
				if id != tt.id || ok != tt.ok || err != nil {
					t.Errorf("Resolve(%q) = %q, %v, %v; want %q, %v", tt.principal, id, ok, err, tt.id, tt.ok)
				}
				return nil
			})
		})
	}
}

func TestEveryAccountExistsInDevelopment(t *testing.T) {
	for _, dev := range []bool{false, true} {
		k := newKit(t, dev)
		k.view(func(tx store.Tx) error {
			if ok, err := k.AccountExists(tx, "999999999999"); ok != dev || err != nil {
				t.Errorf("dev=%v: account exists = %v, %v", dev, ok, err)
			}
			if ok, err := k.AccountExists(tx, "99999999999"); ok || err != nil {
				t.Errorf("dev=%v: 11 digits exist = %v, %v", dev, ok, err)
			}
			return nil
		})
	}
}

func TestUniqueIDsDieWithTheirOwner(t *testing.T) {
	k := newKit(t, true)
	oldUser, oldRole := k.putUser(directory.User{Name: "ana"}), k.putRole(directory.Role{Name: "deployer"})
	k.update(func(tx store.Tx) error {
		if err := k.DeleteUser(tx, oldUser); err != nil {
			return err
		}
		return k.DeleteRole(tx, oldRole)
	})
	newUser, newRole := k.putUser(directory.User{Name: "ana"}), k.putRole(directory.Role{Name: "deployer"})
	k.view(func(tx store.Tx) error {
		for _, id := range []string{oldUser.ID, oldRole.ID} {
			if ref, ok, err := k.ByID(tx, id); ok || err != nil {
				t.Errorf("the id of a deleted principal means %+v, %v", ref, err)
			}
		}
		for id, want := range map[string]directory.Ref{
			newUser.ID: {Account: account, Kind: "user", Name: "ana", ARN: newUser.ARN()},
			newRole.ID: {Account: account, Kind: "role", Name: "deployer", ARN: newRole.ARN()},
		} {
			if ref, ok, err := k.ByID(tx, id); ref != want || !ok || err != nil {
				t.Errorf("ByID = %+v, %v, %v; want %+v", ref, ok, err, want)
			}
		}
		if id, ok, err := k.Resolve(tx, newRole.ARN()); id != newRole.ID || !ok || err != nil {
			t.Errorf("the role made anew resolves to %q, %v, %v; want its own id %q", id, ok, err, newRole.ID)
		}
		return nil
	})
}

func TestNamesCompareWithoutCase(t *testing.T) {
	k := newKit(t, true)
	u, r := k.putUser(directory.User{Name: "Ana"}), k.putRole(directory.Role{Name: "Deployer"})
	k.view(func(tx store.Tx) error {
		if got, ok, err := k.User(tx, account, "aNA"); got.ID != u.ID || !ok || err != nil {
			t.Errorf("User = %+v, %v, %v", got, ok, err)
		}
		if got, ok, err := k.Role(tx, account, "DEPLOYER"); got.ID != r.ID || !ok || err != nil {
			t.Errorf("Role = %+v, %v, %v", got, ok, err)
		}
		if _, ok, err := k.User(tx, "999999999999", "Ana"); ok || err != nil {
			t.Errorf("the user is in another account too: %v", err)
		}
		return nil
	})
}

func TestListsGoOnAfterAName(t *testing.T) {
	k := newKit(t, true)
	for _, n := range []string{"Carl", "ana", "Bob"} {
		k.putUser(directory.User{Name: n})
	}
	k.view(func(tx store.Tx) error {
		var got []string
		for r, err := range k.Users(tx, account, "ANA") {
			if err != nil {
				return err
			}
			got = append(got, r.Value.Name)
		}
		if len(got) != 2 || got[0] != "Bob" || got[1] != "Carl" {
			t.Errorf("after ANA: %v; want Bob, Carl", got)
		}
		return nil
	})
}
