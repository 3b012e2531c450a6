package authz_test

import (
	"slices"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// A hole is something that is unknown in a request, with a way to fill it in.
type hole func(w world, req *authz.Request)

// punch makes one thing of a request unknown.
func (w world) punch(req *authz.Request) hole {
	part := w.IntN(len(req.Parts))
	switch w.IntN(6) {
	case 0, 1:
		key := pick(w, keys(vocabulary)...)
		req.Context.SetUnknown(key)
		return func(w world, req *authz.Request) {
			req.Context = slices.DeleteFunc(slices.Clone(req.Context), func(e authz.Entry) bool { return e.Key == key })
			if w.chance(30) {
				return // absent
			}
			switch v := pick(w, vocabulary[key]...).(type) {
			case string:
				req.Context.Set(key, v)
			case []string:
				req.Context.SetList(key, v)
			}
		}
	case 2:
		if len(req.Identity) == 0 {
			return w.punch(req)
		}
		req.Identity = slices.Clone(req.Identity)
		req.Identity[0] = &authz.Document{Name: "hidden", Unknown: true}
		return func(w world, req *authz.Request) {
			req.Identity = slices.Clone(req.Identity)
			req.Identity[0] = w.document(policy.Identity)
		}
	case 3:
		if req.Parts[part].Policy == nil {
			return w.punch(req)
		}
		kind := policy.Key
		switch req.Parts[part].Action {
		case "sts:AssumeRole":
			kind = policy.Trust
		case "sqs:SendMessage":
			kind = policy.Resource
		}
		req.Parts[part].Policy = &authz.Document{Name: "hidden policy", Unknown: true}
		return func(w world, req *authz.Request) { req.Parts[part].Policy = w.document(kind) }
	case 4:
		r := &req.Parts[part].Resource
		known := *r
		r.ARN, r.Unknown = "", true
		return func(w world, req *authz.Request) {
			r := &req.Parts[part].Resource
			*r = known
			r.ARN = pick(w, known.ARN, known.ARN+"2", "arn:aws:sqs:us-west-2:111122223333:orders", "arn:aws:sqs:us-west-2:111122223333:alice")
		}
	}
	account := pick(w, "", accountA)
	roles := req.Principal.AccountRole
	if req.Principal.Type != authz.User && req.Principal.Type != authz.RoleSession {
		return w.punch(req)
	}
	req.Principal = authz.Principal{Type: authz.UnknownPrincipal, Account: account, AccountRole: roles}
	return func(w world, req *authz.Request) {
		for {
			p := w.principal()
			if p.Type == authz.User || p.Type == authz.RoleSession && !p.IsServiceLinked() {
				p.AccountRole = roles
				req.Principal = p
				return
			}
		}
	}
}

// clone copies what holes are filled into.
func clone(req *authz.Request) *authz.Request {
	c := *req
	c.Parts = slices.Clone(req.Parts)
	return &c
}

func TestUnknownsAreUndeterminedUnlessEveryCompletionAgrees(t *testing.T) {
	undetermined, split, definite := 0, 0, 0
	seeds := uint64(15_000)
	if raceDetector {
		seeds = 6000
	}
	shared := newWorld(t, 0)
	shared.fill(300)
	for seed := range seeds {
		w := newWorld(t, seed)
		w.library = shared.library
		req := w.request()
		holes := []hole{w.punch(req)}
		if w.chance(30) {
			holes = append(holes, w.punch(req))
		}
		d := authz.Explain(req)
		sameAnswer(t, authz.Decide(req), d)
		allowed, denied := 0, 0
		for range 12 {
			full := clone(req)
			for _, h := range slices.Backward(holes) {
				h(w, full)
			}
			got := authz.Decide(full)
			switch {
			case got.Outcome == authz.Undetermined:
				t.Fatalf("seed %d: a completion is undetermined\n%s", seed, show(full))
			case got.Outcome == authz.Allowed:
				allowed++
			default:
				denied++
			}
			wrong := d.Outcome == authz.Allowed && got.Outcome != authz.Allowed ||
				(d.Outcome == authz.ImplicitDeny || d.Outcome == authz.ExplicitDeny) && got.Outcome == authz.Allowed
			for i, p := range d.Parts {
				wrong = wrong || p.Outcome == authz.ExplicitDeny && authz.Explain(full).Parts[i].Outcome != authz.ExplicitDeny
			}
			if wrong {
				t.Fatalf("seed %d: %v with unknowns, %v in the completion\n%s\ncompleted\n%s", seed, d.Outcome, got.Outcome, show(req), show(full))
			}
		}
		if d.Outcome != authz.Undetermined {
			definite++
			continue
		}
		undetermined++
		if allowed > 0 && denied > 0 {
			split++
		}
		if len(d.Parts[d.Part].Depends) == 0 {
			t.Fatalf("seed %d: undetermined without a reason\n%s", seed, show(req))
		}
	}
	if undetermined < 300 || definite < 1000 || split < 60 {
		t.Errorf("%d undetermined, %d of them seen to differ, %d definite", undetermined, split, definite)
	}
}

// A dependsRow changes a request that the key policy leaves to alice's identity policies.
type dependsRow struct {
	name   string
	change func(*authz.Request)
	want   []string
}

func checkDepends(t *testing.T, rows []dependsRow) {
	t.Helper()
	const allowKey = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}}`
	key := authz.Part{
		Action: "kms:Decrypt", Resource: authz.Resource{ARN: keyA, Account: accountA}, Authoritative: true,
		Policy: document(t, allowKey, policy.Key),
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			req := &authz.Request{Principal: userAlice, Parts: []authz.Part{key}}
			tt.change(req)
			d := authz.Explain(req)
			if d.Outcome != authz.Undetermined || !slices.Equal(d.Parts[0].Depends, tt.want) {
				t.Errorf("%v, depends on %q, want %q", d.Outcome, d.Parts[0].Depends, tt.want)
			}
		})
	}
}

func TestDependsNamesWhatWouldSettleIt(t *testing.T) {
	identity := func(src string) []*authz.Document {
		return []*authz.Document{document(t, `{"Version":"2012-10-17","Statement":`+src+`}`, policy.Identity)}
	}
	checkDepends(t, []dependsRow{
		{"a key of a condition", func(r *authz.Request) {
			r.Identity = identity(`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"x"}}}`)
			r.Context.SetUnknown("kms:viaservice")
		}, []string{"key kms:ViaService"}},
		{"a key of a variable", func(r *authz.Request) {
			r.Identity = identity(`{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:*:*:key/${kms:x}*"}`)
			r.Context.SetUnknown("kms:x")
		}, []string{"key kms:x"}},
		{"a deny only", func(r *authz.Request) {
			r.Identity = identity(`[{"Effect":"Allow","Action":"kms:*","Resource":"*"},
				{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Null":{"aws:SourceIp":"true"}}},
				{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"Null":{"kms:y":"true"}}}]`)
			r.Context.SetUnknown("aws:sourceip")
			r.Context.SetUnknown("kms:y")
		}, []string{"key aws:SourceIp"}},
		{"a document", func(r *authz.Request) {
			r.Identity = []*authz.Document{{Name: "arn:aws:iam::111122223333:policy/p", Unknown: true}}
		}, []string{"document arn:aws:iam::111122223333:policy/p"}},
		{"the principal", func(r *authz.Request) {
			r.Principal = authz.Principal{Type: authz.UnknownPrincipal, Account: accountA}
			r.Parts[0].Policy = document(t, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"`+alice+`"},"Action":"kms:*","Resource":"*"}}`, policy.Key)
		}, []string{"principal"}},
		{"the resource", func(r *authz.Request) {
			r.Parts[0].Resource = authz.Resource{Account: accountA, Unknown: true}
			r.Identity = identity(`{"Effect":"Allow","Action":"kms:*","Resource":"` + keyA + `"}`)
		}, []string{"resource"}},
		{"whose resource it is", func(r *authz.Request) {
			r.Identity = identity(`{"Effect":"Allow","Action":"*","Resource":"*"}`)
			r.Parts[0] = authz.Part{Action: "sqs:SendMessage", Resource: authz.Resource{Unknown: true}}
		}, []string{"resource"}},
		{"whose principal it is", func(r *authz.Request) {
			r.Principal = authz.Principal{Type: authz.UnknownPrincipal}
			r.Identity = identity(`{"Effect":"Allow","Action":"*","Resource":"*"}`)
			r.Parts[0] = authz.Part{Action: "sqs:SendMessage", Resource: authz.Resource{ARN: queueA, Account: accountA}}
		}, []string{"principal"}},
	})
}

func TestDependsOnWhatGrantsNeed(t *testing.T) {
	checkDepends(t, []dependsRow{
		{"a grant's encryption context", func(r *authz.Request) {
			r.Parts[0].Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"a": "1"}}}
			r.Parts[0].Context.SetUnknown("kms:encryptioncontextkeys")
		}, []string{"key kms:EncryptionContextKeys"}},
		{"a value of a grant's encryption context", func(r *authz.Request) {
			r.Parts[0].Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"a": "1"}}}
			r.Parts[0].Context.SetUnknown("kms:encryptioncontext:a")
		}, []string{"key kms:EncryptionContext:a"}},
		{"a grant's source", func(r *authz.Request) {
			r.Parts[0].Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}, SourceARN: queueA}}
			r.Context.SetUnknown("aws:sourcearn")
		}, []string{"key aws:SourceArn"}},
		{"a grant's grantee", func(r *authz.Request) {
			r.Principal = authz.Principal{Type: authz.UnknownPrincipal, Account: accountA}
			r.Parts[0].Grants = []authz.Grant{{ID: "g1", Grantee: alice, Operations: []string{"Decrypt"}}}
		}, []string{"principal"}},
	})
}
