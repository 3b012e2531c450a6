package directory_test

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

func TestDevelopmentCredentials(t *testing.T) {
	k := newKit(t, true)
	tests := []struct {
		key, arn string
		kind     authz.PrincipalType
		role     authz.AccountRole
	}{
		{"test", "arn:aws:iam::000000000000:root", authz.Root, authz.Management},
		{"000000000000", "arn:aws:iam::000000000000:root", authz.Root, authz.Management},
		{"444455556666", "arn:aws:iam::444455556666:root", authz.Root, authz.Member},
		{"444455556666ADMIN", "arn:aws:iam::444455556666:user/admin", authz.User, authz.Member},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			sec, id, err := k.Lookup(t.Context(), tt.key, "")
			if err != nil {
				t.Fatal(err)
			}
			p := id.Principal
			if sec.Reveal() != "test" || p.ARN != tt.arn || p.Type != tt.kind || id.AccessKeyID != tt.key {
				t.Errorf("Lookup = %q, %+v", sec.Reveal(), id)
			}
			place := k.place(p.Account)
			if place.Organization != directory.DevOrganization || len(place.Paths) != 1 || place.Role != tt.role {
				t.Errorf("place = %+v", place)
			}
		})
	}
	for _, key := range []string{"", "TEST", "44445555666", "44445555666ADMIN", "444455556666admin", "AKIAIOSFODNN7EXAMPLE"} {
		if _, _, err := k.Lookup(t.Context(), key, ""); !errors.Is(err, directory.ErrUnknownAccessKey) {
			t.Errorf("Lookup(%q) = %v", key, err)
		}
	}
}

func TestDevelopmentCredentialsAreClosedOtherwise(t *testing.T) {
	k := newKit(t, false)
	k.addAccount("444455556666")
	for _, key := range []string{"test", "444455556666", "444455556666ADMIN"} {
		if _, _, err := k.Lookup(t.Context(), key, ""); !errors.Is(err, directory.ErrUnknownAccessKey) {
			t.Errorf("Lookup(%q) = %v", key, err)
		}
	}
}

func TestDevelopmentAdminIsMadeOnce(t *testing.T) {
	k := newKit(t, true)
	_, first, err := k.Lookup(t.Context(), "444455556666ADMIN", "")
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := k.Lookup(t.Context(), "444455556666ADMIN", "")
	if err != nil {
		t.Fatal(err)
	}
	if first.Principal.UniqueID == "" || first.Principal.UniqueID != second.Principal.UniqueID {
		t.Errorf("unique ids %q, then %q", first.Principal.UniqueID, second.Principal.UniqueID)
	}
	docs, err := k.documents(second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"arn:aws:iam::aws:policy/AdministratorAccess"}, names(docs.Identity)); diff != "" {
		t.Error(diff)
	}
}

func TestAccessKey(t *testing.T) {
	k := newKit(t, false)
	u := k.putUser(directory.User{Name: "Ana", Tags: []directory.Tag{{Key: "team", Value: "red"}}})
	var (
		key directory.AccessKey
		sec secret.String
	)
	k.update(func(tx store.Tx) (err error) {
		key, sec, err = k.NewAccessKey(tx, account, u.Name, u.ID)
		return err
	})
	if len(key.ID) != 20 || len(sec.Reveal()) != 40 {
		t.Errorf("access key %q with a secret of %d characters", key.ID, len(sec.Reveal()))
	}
	got, id, err := k.Lookup(t.Context(), key.ID, "")
	if err != nil || got != sec {
		t.Fatalf("Lookup = %v, %v; want the secret that was made", got, err)
	}
	want := authz.Principal{
		Type: authz.User, ARN: "arn:aws:iam::111122223333:user/team/Ana", Account: account, UserID: u.ID, UniqueID: u.ID,
		Username: "Ana", Tags: map[string]string{"team": "red"},
	}
	if diff := cmp.Diff(want, id.Principal); diff != "" || id.AccessKeyID != key.ID || id.Session != nil {
		t.Errorf("identity %+v: %s", id, diff)
	}
	k.view(func(tx store.Tx) error {
		keys, err := k.UserAccessKeys(tx, account, "ANA")
		if err != nil || len(keys) != 1 || keys[0].ID != key.ID {
			t.Errorf("UserAccessKeys = %+v, %v", keys, err)
		}
		return nil
	})

	key.Inactive = true
	k.update(func(tx store.Tx) error { return directory.AccessKeys.Put(tx, key, key.ID) })
	wantUnknown(t, k, key.ID, "an inactive key")
	key.Inactive = false
	k.update(func(tx store.Tx) error { return directory.AccessKeys.Put(tx, key, key.ID) })
	if _, _, err := k.Lookup(t.Context(), key.ID, ""); err != nil {
		t.Errorf("the key made active again: %v", err)
	}
	k.update(func(tx store.Tx) error { return k.DeleteAccessKey(tx, key) })
	wantUnknown(t, k, key.ID, "a deleted key")
	k.view(func(tx store.Tx) error {
		if keys, err := k.UserAccessKeys(tx, account, u.Name); len(keys) != 0 || err != nil {
			t.Errorf("a deleted key is listed: %+v, %v", keys, err)
		}
		return nil
	})
}

func wantUnknown(t *testing.T, k *kit, key, what string) {
	t.Helper()
	sec, id, err := k.Lookup(t.Context(), key, "")
	if !errors.Is(err, directory.ErrUnknownAccessKey) || sec != "" || id.Principal.ARN != "" {
		t.Errorf("%s: Lookup = %+v, %v", what, id, err)
	}
}

func TestAccessKeyOfAUserMadeAnewIsUnknown(t *testing.T) {
	k := newKit(t, false)
	u := k.putUser(directory.User{Name: "ana"})
	var key directory.AccessKey
	k.update(func(tx store.Tx) (err error) {
		key, _, err = k.NewAccessKey(tx, account, u.Name, u.ID)
		return err
	})
	k.update(func(tx store.Tx) error { return k.DeleteUser(tx, u) })
	wantUnknown(t, k, key.ID, "the key of a deleted user")
	k.putUser(directory.User{Name: "ana"})
	wantUnknown(t, k, key.ID, "the key of the user's namesake")
}

func TestRootAccessKey(t *testing.T) {
	k := newKit(t, false)
	var (
		key directory.AccessKey
		sec secret.String
	)
	k.update(func(tx store.Tx) (err error) {
		key, sec, err = k.NewAccessKey(tx, account, "", "")
		return err
	})
	got, id, err := k.Lookup(t.Context(), key.ID, "")
	if err != nil || got != sec || id.Principal.Type != authz.Root || id.Principal.ARN != "arn:aws:iam::111122223333:root" || id.Principal.UserID != account {
		t.Errorf("Lookup = %+v, %v", id, err)
	}
}

// issue makes a session of a role that lasts an hour.
func (k *kit) issue(r directory.Role, change func(*directory.SessionGrant)) directory.Credentials {
	k.t.Helper()
	g := directory.SessionGrant{
		Account: account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: "work",
		IssuedAt: k.now, ExpiresAt: k.now.Add(time.Hour),
	}
	if change != nil {
		change(&g)
	}
	c, err := k.Issue(g)
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// Tag keys are unique whatever their case: a session tag replaces the role's tag of the other spelling,
// or what a policy finds would depend on chance. Source: IAM User Guide, "Pass session tags in AWS STS".
func TestSessionTagsReplaceThoseOfTheRoleWhateverTheCase(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "Deployer", Path: "/", Tags: []directory.Tag{{Key: "team", Value: "red"}, {Key: "cost", Value: "1"}}})
	c := k.issue(r, func(g *directory.SessionGrant) { g.Tags = map[string]string{"TEAM": "blue"} })
	_, id, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"TEAM": "blue", "cost": "1"}, id.Principal.Tags); diff != "" {
		t.Error(diff)
	}
}

func TestSession(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "Deployer", Path: "/ci/", Tags: []directory.Tag{{Key: "team", Value: "red"}, {Key: "cost", Value: "1"}}})
	c := k.issue(r, func(g *directory.SessionGrant) {
		g.Tags = map[string]string{"team": "blue"}
		g.SourceIdentity, g.MFA = "ana", true
		g.Policies, g.HasPolicies = []string{allowX}, true
	})
	sec, id, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal())
	if err != nil || sec != c.Secret || id.AccessKeyID != c.AccessKeyID {
		t.Fatalf("Lookup = %+v, %v", id, err)
	}
	want := authz.Principal{
		Type: authz.RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/Deployer/work",
		RoleARN: "arn:aws:iam::111122223333:role/ci/Deployer", Account: account, UserID: r.ID + ":work", UniqueID: r.ID,
		Tags: map[string]string{"team": "blue", "cost": "1"},
	}
	if diff := cmp.Diff(want, id.Principal); diff != "" {
		t.Error(diff)
	}
	s := id.Session
	if s == nil || !s.MFA || s.SourceIdentity != "ana" || s.RoleID != r.ID || !s.IssuedAt.Equal(k.now) || len(s.Policies) != 1 {
		t.Errorf("session = %+v", s)
	}
	docs, err := k.documents(id)
	if err != nil || len(docs.Session) != 1 || docs.Session[0].Owner != account {
		t.Errorf("documents = %+v, %v", docs, err)
	}
}

func TestSessionThatIsNotOurs(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "deployer"})
	a, b := k.issue(r, nil), k.issue(r, nil)
	raw, err := base64.StdEncoding.DecodeString(a.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) string {
		c := append([]byte(nil), raw...)
		c[i] ^= 1
		return base64.StdEncoding.EncodeToString(c)
	}
	other := newKit(t, false).issue(r, nil)
	tests := []struct{ name, key, token string }{
		{"a token of another key", b.AccessKeyID, a.Token.Reveal()},
		{"a token whose first byte changed", a.AccessKeyID, flipped(0)},
		{"a token whose middle changed", a.AccessKeyID, flipped(len(raw) / 2)},
		{"a token whose last byte changed", a.AccessKeyID, flipped(len(raw) - 1)},
		{"a token cut short", a.AccessKeyID, base64.StdEncoding.EncodeToString(raw[:len(raw)-1])},
		{"a token of another server", other.AccessKeyID, other.Token.Reveal()},
		{"no base64", a.AccessKeyID, "not a token!"},
		{"no bytes", a.AccessKeyID, "===="},
		{"a development key with a token", "test", a.Token.Reveal()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sec, id, err := k.Lookup(t.Context(), tt.key, tt.token)
			if !errors.Is(err, directory.ErrInvalidToken) || sec != "" || id.Principal.ARN != "" {
				t.Errorf("Lookup = %+v, %v", id, err)
			}
		})
	}
	if _, _, err := k.Lookup(t.Context(), a.AccessKeyID, ""); !errors.Is(err, directory.ErrUnknownAccessKey) {
		t.Errorf("temporary key without its token: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	k := newKit(t, false)
	c := k.issue(k.putRole(directory.Role{Name: "deployer"}), nil)
	k.now = k.now.Add(time.Hour - time.Nanosecond)
	if _, _, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal()); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	k.now = k.now.Add(time.Nanosecond)
	if sec, _, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal()); !errors.Is(err, directory.ErrExpiredToken) || sec != "" {
		t.Errorf("at its end: %v", err)
	}
}

func TestSessionDiesWithItsRole(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "deployer"})
	c := k.issue(r, nil)
	k.update(func(tx store.Tx) error { return k.DeleteRole(tx, r) })
	if _, _, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal()); !errors.Is(err, directory.ErrInvalidToken) {
		t.Errorf("role deleted: %v", err)
	}
	k.putRole(directory.Role{Name: "deployer"})
	if _, _, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal()); !errors.Is(err, directory.ErrInvalidToken) {
		t.Errorf("role made anew: %v", err)
	}
}
