package directory_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/directory"
)

const week = 7 * 24 * time.Hour

// issued are credentials of a user's session, and what the token says of its key's version.
func issued(t *testing.T, k *kit, u directory.User, last time.Duration) (directory.Credentials, uint32) {
	t.Helper()
	c, err := k.Issue(directory.SessionGrant{Kind: directory.OfUser, Account: account, User: u.Name, UserID: u.ID, IssuedAt: k.now, ExpiresAt: k.now.Add(last)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(c.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return c, binary.BigEndian.Uint32(raw)
}

func TestSessionKeysHaveVersions(t *testing.T) {
	k := newKit(t, false)
	k.addAccount(account)
	u := k.putUser(directory.User{Name: "ana"})
	good := func(c directory.Credentials) error {
		_, _, err := k.Lookup(t.Context(), c.AccessKeyID, c.Token.Reveal())
		return err
	}
	k.now = time.Unix(int64(k.now.Unix()/int64(week.Seconds())+1)*int64(week.Seconds()), 0).Add(-time.Minute) // a minute before the key changes
	old, first := issued(t, k, u, 36*time.Hour)
	k.now = k.now.Add(2 * time.Minute)
	fresh, second := issued(t, k, u, time.Hour)
	if second != first+1 {
		t.Fatalf("versions %d and %d", first, second)
	}
	if good(old) != nil || good(fresh) != nil {
		t.Error("the key changed: what both versions sealed is good")
	}
	k.now = k.now.Add(36*time.Hour - 3*time.Minute) // to the end of the session
	if err := good(old); err != nil {
		t.Errorf("the longest session does not live through a change: %v", err)
	}
	// Whatever it says of its end: a token of a version that is no longer in use is refused.
	endless, version := issued(t, k, u, 1000*time.Hour)
	k.now = k.now.Add(2 * week)
	if err := good(endless); !errors.Is(err, directory.ErrInvalidToken) {
		t.Errorf("a retired version opened: %v", err)
	}
	// The version is no claim: another one's key does not open it.
	raw, err := base64.StdEncoding.DecodeString(endless.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []uint32{version + 2, version + 3, 0, 1<<32 - 1} {
		binary.BigEndian.PutUint32(raw, v)
		if _, _, err := k.Lookup(t.Context(), endless.AccessKeyID, base64.StdEncoding.EncodeToString(raw)); !errors.Is(err, directory.ErrInvalidToken) {
			t.Errorf("version %d: %v", v, err)
		}
	}
	for _, bad := range []string{"", "AAA=", "????"} {
		if _, _, err := k.Lookup(t.Context(), endless.AccessKeyID, bad+" "); !errors.Is(err, directory.ErrInvalidToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
