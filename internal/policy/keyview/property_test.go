package keyview_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
)

// A step is an edit with what it must make of the view.
type step struct {
	name  string
	adds  bool // only adds bytes; else only removes some
	edit  func(*keyview.Policy) (*keyview.Policy, error)
	holds func(before, after keyview.View) bool
	// undo takes back what the edit did.
	undo func(*keyview.Policy) (*keyview.Policy, error)
}

func steps(who, account string) []step {
	has := func(list []string, s string) bool { return slices.Contains(list, s) }
	return []step{
		{"add user", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddUser(who, keyview.Symmetric) },
			func(b, a keyview.View) bool {
				return has(a.Users, who) && slices.Equal(a.Administrators, b.Administrators) && slices.Equal(a.Accounts, b.Accounts)
			},
			func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveUser(who) }},
		{"remove user", false, func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveUser(who) },
			func(b, a keyview.View) bool {
				return !has(a.Users, who) && len(a.Users) >= len(b.Users)-1 && slices.Equal(a.Administrators, b.Administrators)
			}, nil},
		{"add administrator", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddAdministrator(who) },
			func(b, a keyview.View) bool { return has(a.Administrators, who) && slices.Equal(a.Users, b.Users) },
			func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveAdministrator(who) }},
		{"remove administrator", false, func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveAdministrator(who) },
			func(b, a keyview.View) bool { return !has(a.Administrators, who) && slices.Equal(a.Users, b.Users) }, nil},
		{"add account", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddAccount(account, keyview.Symmetric) },
			func(b, a keyview.View) bool { return has(a.Accounts, account) && slices.Equal(a.Users, b.Users) },
			func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveAccount(account) }},
		{"remove account", false, func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveAccount(account) },
			func(b, a keyview.View) bool { return !has(a.Accounts, account) && slices.Equal(a.Users, b.Users) }, nil},
		{"let them delete", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AllowDelete(true) },
			func(b, a keyview.View) bool { return a.MayDelete }, nil},
		{"do not let them delete", false, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AllowDelete(false) },
			func(b, a keyview.View) bool { return !a.MayDelete && slices.Equal(a.Administrators, b.Administrators) }, nil},
		{"add a linked role", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddLinkedRole(linked) },
			func(b, a keyview.View) bool { return slices.Equal(a.Users, b.Users) },
			func(p *keyview.Policy) (*keyview.Policy, error) { return p.RemoveLinkedRole(linked) }},
		{"share", true, func(p *keyview.Policy) (*keyview.Policy, error) { return p.ShareWithAccount(account) },
			func(b, a keyview.View) bool { return slices.Equal(a.Accounts, b.Accounts) },
			func(p *keyview.Policy) (*keyview.Policy, error) { return p.UnshareWithAccount(account) }},
		{"unshare", false, func(p *keyview.Policy) (*keyview.Policy, error) { return p.UnshareWithAccount(account) },
			func(b, a keyview.View) bool { return slices.Equal(a.Accounts, b.Accounts) }, nil},
	}
}

// try makes one edit and checks what holds of every edit.
func try(t *testing.T, p *keyview.Policy, s step) *keyview.Policy {
	t.Helper()
	q, err := s.edit(p)
	if errors.Is(err, keyview.ErrLastStatement) || errors.Is(err, keyview.ErrNoAdministrators) {
		return p
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.name, err, p.Bytes())
	}
	before, after := p.Bytes(), q.Bytes()
	if !s.holds(p.View(), q.View()) {
		t.Errorf("%s: %+v became %+v\n%s", s.name, p.View(), q.View(), before)
	}
	if s.adds && !within(before, after) || !s.adds && !within(after, before) {
		t.Errorf("%s: bytes were changed:\n%s\n%s", s.name, before, after)
	}
	again, err := s.edit(q)
	if err != nil || !bytes.Equal(again.Bytes(), after) {
		t.Errorf("%s is not idempotent: %v\n%s\n%s", s.name, err, after, again.Bytes())
	}
	if diff := unrecognized(t, p, q); diff != "" {
		t.Errorf("%s: %s\n%s", s.name, diff, after)
	}
	if s.undo == nil {
		return q
	}
	if back, err := s.undo(q); err != nil {
		t.Errorf("%s cannot be undone: %v", s.name, err)
	} else if first, err := s.undo(p); err == nil && meaning(t, first) != meaning(t, back) {
		t.Errorf("%s and back:\n%s\n%s", s.name, first.Bytes(), back.Bytes())
	}
	return q
}

// within reports whether a text can be had from another by leaving bytes out.
func within(short, long []byte) bool {
	i := 0
	for _, b := range long {
		if i < len(short) && short[i] == b {
			i++
		}
	}
	return i == len(short)
}

// unrecognized compares the texts of the statements that are nobody's but the author's: they are
// the same in the same order, but for those of the page, which an edit may extend.
func unrecognized(t *testing.T, p, q *keyview.Policy) string {
	texts := func(p *keyview.Policy) []string {
		src := p.Bytes()
		d, err := policy.Parse(src, policy.Key)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, i := range p.View().Other {
			if st := d.Statements[i]; !strings.HasPrefix(st.Sid, "Allow ") {
				out = append(out, string(src[st.Pos.Start:st.Pos.End]))
			}
		}
		return out
	}
	if a, b := texts(p), texts(q); !slices.Equal(a, b) {
		return fmt.Sprintf("statements of others changed: %q, %q", a, b)
	}
	return ""
}

// meaning is a policy in canonical form.
func meaning(t *testing.T, p *keyview.Policy) string {
	t.Helper()
	d, err := policy.Parse(p.Bytes(), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Print())
}

func TestEveryEditKeepsTheRest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2026))
	for range 300 {
		p := parse(t, random(r))
		for range 6 {
			all := steps([]string{ana, app, linked}[r.IntN(3)], []string{other, "777788889999"}[r.IntN(2)])
			p = try(t, p, all[r.IntN(len(all))])
		}
		if t.Failed() {
			return
		}
	}
}

// random is a policy of some of the statements, in some layout.
func random(r *rand.Rand) string {
	var list []string
	for _, st := range []string{enable, admins, users, grants, foreign, strings.Replace(foreign, "Ours", "Theirs", 1)} {
		if r.IntN(2) == 0 {
			list = append(list, st)
		}
	}
	if len(list) == 0 {
		list = append(list, foreign)
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	src := doc(list...)
	if len(list) == 1 && r.IntN(2) == 0 {
		src = `{"Version":"2012-10-17","Statement":` + list[0] + `}`
	}
	switch r.IntN(5) {
	case 0:
		var b bytes.Buffer
		_ = json.Indent(&b, []byte(src), "", []string{"  ", "\t"}[r.IntN(2)])
		src = b.String()
	case 1:
		var b bytes.Buffer
		_ = json.Indent(&b, []byte(src), "", " ")
		src = strings.ReplaceAll(b.String(), "\n", "\r\n")
	case 2:
		src = string(policy.Pretty([]byte(src)))
	case 3:
		src = " " + strings.ReplaceAll(src, `":`, `" : `) + "\n\n"
	}
	return src
}

func FuzzEdits(f *testing.F) {
	f.Add([]byte(doc(enable, admins, users, grants, foreign)), byte(0))
	f.Add([]byte(doc(users)), byte(1))
	f.Add([]byte("{\"Statement\" :\r\n "+admins+"}"), byte(2))
	f.Add([]byte(doc(strings.Replace(users, "key\"", "key 2\"", 1), strings.Replace(users, "Use", "x", 1))), byte(5))
	f.Fuzz(func(t *testing.T, src []byte, n byte) {
		p, err := keyview.Parse(src)
		if err != nil {
			return
		}
		all := steps([]string{ana, app, linked}[n%3], other)
		s := all[int(n)%len(all)]
		q, err := s.edit(p)
		if err != nil {
			if len(src) < 100_000 && !errors.Is(err, keyview.ErrLastStatement) && !errors.Is(err, keyview.ErrNoAdministrators) {
				t.Fatalf("%s: %v", s.name, err)
			}
			return
		}
		if s.adds && !within(src, q.Bytes()) || !s.adds && !within(q.Bytes(), src) {
			t.Errorf("%s: bytes were changed:\n%s\n%s", s.name, src, q.Bytes())
		}
		if again, err := s.edit(q); err != nil || !bytes.Equal(again.Bytes(), q.Bytes()) {
			t.Errorf("%s is not idempotent: %v", s.name, err)
		}
	})
}
