package soft_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// The key of session tokens is renewed: tokens of the one before are good as long as a session is, those
// of an ended one never again, and nobody with an older seal makes one that is taken.
func TestSessionKeys(t *testing.T) {
	s := soft.Seal{Dir: dataDir(t)}
	root, err := soft.Create(t.Context(), s, soft.PlainLock{})
	m := module(t, root, err)
	box, now := m.SessionBox("session token"), time.Now()
	token := func(b hsm.Box) []byte { return b.Seal([]byte("token"), []byte("aad")) }
	good := func(name string, b hsm.Box, sealed []byte, want bool) {
		t.Helper()
		got, err := b.Open(sealed, []byte("aad"))
		if want && (err != nil || string(got) != "token") || !want && !errors.Is(err, hsm.ErrCiphertext) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	keys := func(want ...uint32) {
		t.Helper()
		if got := root.SessionKeys(); !slices.Equal(got, want) {
			t.Errorf("keys %v, want %v", got, want)
		}
	}
	keys(0)
	before := token(m.Box("session token")) // as they were before keys had numbers
	first := token(box)
	good("of the box of that purpose", box, before, true)
	check(t, root.RenewSessions(t.Context(), now, false))
	keys(0, 1)
	second := token(box)
	good("of the key before", box, first, true)
	good("of the new key", box, second, true)
	good("of another purpose", m.SessionBox("session token 7"), second, false)
	good("under another aad", box, m.SessionBox("session token").Seal([]byte("token"), nil), false)
	for i := range second {
		bad := slices.Clone(second)
		bad[i] ^= 1
		good("changed", box, bad, false)
		good("cut", box, second[:i], false)
	}

	reopened := func() *soft.Module {
		root, err := soft.Unseal(t.Context(), s, soft.PlainLock{})
		return module(t, root, err)
	}
	again := reopened()
	good("after a restart, of the key before", again.SessionBox("session token"), first, true)
	good("after a restart, of the new key", again.SessionBox("session token"), second, true)
	if next, err := root.EndSessions(t.Context(), now.Add(time.Hour)); err != nil || next.IsZero() || next.After(now.Add(soft.SessionLife)) {
		t.Errorf("the next end is %v, %v", next, err)
	}
	keys(0, 1)
	if next, err := root.EndSessions(t.Context(), now.Add(soft.SessionLife)); err != nil || !next.IsZero() {
		t.Errorf("the next end is %v, %v", next, err)
	}
	keys(1)
	good("of the key that ended", box, first, false)
	good("of the newest key", box, second, true)
	good("of the key that ended, after a restart", reopened().SessionBox("session token"), first, false)
	forged := token(again.SessionBox("session token")) // by who kept the seal of then, with all that is in it
	good("of who has the old ring and its newest key", box, forged, true)
	check(t, root.RenewSessions(t.Context(), now, true))
	keys(2)
	good("forged with the old ring", box, token(again.SessionBox("session token")), false)
	good("forged with the root key", box, token(m.Box("session token")), false)
	good("of before", box, second, false)
	third := token(box)
	// Renewed often, those that are too old go with the next renewal.
	for i := range 3 {
		check(t, root.RenewSessions(t.Context(), now.Add(time.Duration(i)*20*time.Hour), false))
	}
	keys(3, 4, 5)
	good("renewed three times in forty hours", box, third, false)
	check(t, m.Close())
	if box.Seal([]byte("x"), nil) != nil {
		t.Error("a closed module seals")
	}
	if _, err := box.Open(third, nil); !errors.Is(err, hsm.ErrSealed) {
		t.Errorf("a closed module: %v", err)
	}
}

// A renewal that cannot be written changes nothing, and neither does one of an old seal.
func TestSessionKeysThatCannotBeSaved(t *testing.T) {
	s := soft.Seal{Dir: dataDir(t)}
	root, err := soft.Create(t.Context(), s, soft.PlainLock{})
	m := module(t, root, err)
	token := m.SessionBox("session token").Seal([]byte("x"), nil)
	check(t, s.Dir.Rename("seal.json", "away"))
	for _, end := range []bool{false, true} {
		if err := root.RenewSessions(t.Context(), time.Now(), end); err == nil {
			t.Error("renewed without a seal file")
		}
	}
	check(t, s.Dir.Rename("away", "seal.json"))
	if got := root.SessionKeys(); !slices.Equal(got, []uint32{0}) {
		t.Errorf("keys %v", got)
	}
	if _, err := m.SessionBox("session token").Open(token, nil); err != nil {
		t.Error(err)
	}
	check(t, root.RenewSessions(t.Context(), time.Now(), false))
	check(t, root.BeginEpoch(t.Context())) // other changes of the seal keep them
	check(t, root.EndEpochs(t.Context()))
	check(t, root.Reseal(t.Context(), soft.PlainLock{}))
	again, err := soft.Unseal(t.Context(), s, soft.PlainLock{})
	check(t, err)
	if got := again.SessionKeys(); !slices.Equal(got, []uint32{0, 1}) {
		t.Errorf("keys %v after a restart", got)
	}
	check(t, again.Close())
}
