package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

func TestAnAllowedReadIsRecordedWithWhatAllowedIt(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.Lookup(admin), "kms", "DescribeKey")
	c.ReadOnly = true
	out, err := w.Guard.Invoke(t.Context(), c, &in{"x"}, read(w, onKey(t, "kms:DescribeKey")))
	if err != nil || *out.(*string) != "the answer" {
		t.Fatalf("Invoke = %v, %v", out, err)
	}
	r, ds := only(t, w, c)
	if r.EventName != "DescribeKey" || r.EventSource != "kms.amazonaws.com" || !r.ReadOnly || r.ErrorCode != "" || r.RecipientAccountID != account ||
		r.UserIdentity.Type != "IAMUser" || r.UserIdentity.UserName != "admin" || r.UserIdentity.AccessKeyID != admin ||
		r.SourceIPAddress != "203.0.113.7" || r.UserAgent != "test" || string(r.RequestParameters) != `{"name":"x"}` {
		t.Errorf("record = %+v", r)
	}
	if len(ds) != 1 || ds[0].Outcome != "allowed" || ds[0].Principal != c.Caller.Principal.ARN || ds[0].Account != account || len(ds[0].Parts) != 1 {
		t.Fatalf("decisions = %+v", ds)
	}
	p := ds[0].Parts[0]
	if p.Action != "kms:DescribeKey" || p.Resource != key || p.By != "identity" || p.Also != "resource" || len(p.Matched) != 2 {
		t.Errorf("part = %+v", p)
	}
}

func TestARefusedReadIsRecordedWithItsEvidence(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.User(account, "ana", nothing), "kms", "DescribeKey")
	out, err := w.Guard.Invoke(t.Context(), c, &in{}, read(w, onKey(t, "kms:DescribeKey")))
	if err == nil || out != nil {
		t.Fatalf("Invoke = %v, %v", out, err)
	}
	denied, ok := guard.Denied(err)
	if !ok {
		t.Fatalf("%v is no refusal", err)
	}
	r, ds := only(t, w, c)
	if r.ErrorCode != "AccessDeniedException" || r.ErrorMessage != denied.Message {
		t.Errorf("record = %+v", r)
	}
	if len(ds) != 1 || ds[0].Outcome != "implicitDeny" || len(ds[0].Fixes) == 0 || ds[0].Context["aws:sourceip"] != "203.0.113.7" {
		t.Fatalf("decisions = %+v", ds)
	}
	if diff := cmp.Diff(denied.Decision, ds[0].Decision(), cmpopts.IgnoreTypes(policy.Pos{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the decision as recorded: %s", diff)
	}
}

func TestAChangeCarriesItsRecordInItsTransaction(t *testing.T) {
	w := guardtest.New(t)
	t.Run("allowed", func(t *testing.T) {
		c := newCall(w.Lookup(admin), "kms", "CreateThing")
		if _, err := w.Guard.Invoke(t.Context(), c, &in{"one"}, write(w, onKey(t, "kms:EnableKey"))); err != nil {
			t.Fatal(err)
		}
		r, ds := only(t, w, c)
		if !exists(w, "one") || string(r.ResponseElements) != `{"name":"made one"}` || len(r.Resources) != 1 || r.Resources[0].ARN != key || len(ds) != 1 {
			t.Errorf("record = %+v, %d decisions", r, len(ds)) // one decision, although the closure ran twice
		}
	})
	t.Run("refused", func(t *testing.T) {
		c := newCall(w.User(account, "ana", nothing), "kms", "CreateThing")
		_, err := w.Guard.Invoke(t.Context(), c, &in{"two"}, write(w, onKey(t, "kms:EnableKey")))
		if _, denied := guard.Denied(err); !denied || exists(w, "two") {
			t.Errorf("err = %v, changed = %v", err, exists(w, "two"))
		}
		r, ds := only(t, w, c)
		if r.ErrorCode != "AccessDeniedException" || r.ResponseElements != nil || len(ds) != 1 {
			t.Errorf("record = %+v, %d decisions", r, len(ds))
		}
	})
	t.Run("failed after it committed", func(t *testing.T) {
		c := newCall(w.Lookup(admin), "kms", "CreateThing")
		h := write(w, onKey(t, "kms:EnableKey"))
		_, err := w.Guard.Invoke(t.Context(), c, &in{"three"}, func(ctx context.Context, c *guard.Call, r any) (any, error) {
			if _, err := h(ctx, c, r); err != nil {
				return nil, err
			}
			return nil, apierr.New("LimitExceededException", "too many")
		})
		all := records(t, w, c)
		if apierr.Code(err) != "LimitExceededException" || len(all) != 2 || !exists(w, "three") {
			t.Fatalf("err = %v, %d records", err, len(all))
		}
		codes := []string{all[0].ErrorCode, all[1].ErrorCode} // the record of the change may reach the log after the other
		slices.Sort(codes)
		if codes[0] != "" || codes[1] != "LimitExceededException" || all[0].EventID == all[1].EventID {
			t.Errorf("error codes %q, event ids %s, %s", codes, all[0].EventID, all[1].EventID)
		}
	})
	t.Run("an error inside becomes no detail in the trail", func(t *testing.T) {
		c := newCall(w.Lookup(admin), "kms", "CreateThing")
		_, err := w.Guard.Invoke(t.Context(), c, &in{}, func(context.Context, *guard.Call, any) (any, error) { return nil, errTest })
		r, _ := only(t, w, c)
		if !errors.Is(err, errTest) || r.ErrorCode != "InternalFailure" || strings.Contains(r.ErrorMessage, "made up") {
			t.Errorf("err = %v, record = %+v", err, r)
		}
	})
}

func TestDecisionsAfterTheRecordGetASecondOne(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.Lookup(admin), "kms", "CreateThing")
	first, second := write(w, onKey(t, "kms:EnableKey")), write(w, onKey(t, "kms:DisableKey"))
	_, err := w.Guard.Invoke(t.Context(), c, &in{"one"}, func(ctx context.Context, c *guard.Call, r any) (any, error) {
		if _, err := first(ctx, c, r); err != nil {
			return nil, err
		}
		return second(ctx, c, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range records(t, w, c) {
		for _, d := range decisions(t, &r) {
			seen[d.Parts[0].Action] = true
		}
	}
	if !seen["kms:EnableKey"] || !seen["kms:DisableKey"] {
		t.Errorf("recorded decisions: %v", seen)
	}
}

func TestSeveralViewsKeepTheirDecisions(t *testing.T) {
	w := guardtest.New(t)
	c := newCall(w.Lookup(admin), "kms", "DescribeKey")
	first, second := read(w, onKey(t, "kms:DescribeKey")), read(w, onKey(t, "kms:GetKeyPolicy"))
	if _, err := w.Guard.Invoke(t.Context(), c, &in{}, func(ctx context.Context, c *guard.Call, r any) (any, error) {
		if _, err := first(ctx, c, r); err != nil {
			return nil, err
		}
		return second(ctx, c, r)
	}); err != nil {
		t.Fatal(err)
	}
	if _, ds := only(t, w, c); len(ds) != 2 {
		t.Errorf("%d decisions; want 2", len(ds))
	}
}

// TestPartsDoNotShareConditions makes two parts of one decision and one of the next, each in the room of the call.
func TestPartsDoNotShareConditions(t *testing.T) {
	w := guardtest.New(t)
	user := w.User(account, "maya", `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
		"Condition": {"StringEquals": {"kms:KeySpec": "RSA_2048"}}}}`)
	made := func(c *guard.Call, spec string) authz.Part {
		p := onKey(t, "kms:DescribeKey")
		p.Context = c.Conditions()
		p.Context.Set("kms:keyspec", spec)
		return p
	}
	decide := func(ctx context.Context, c *guard.Call, specs ...string) error {
		return w.Guard.View(ctx, c, func(tx store.Tx) error {
			var check guard.Check
			for _, spec := range specs {
				check.Parts = append(check.Parts, made(c, spec))
			}
			_, err := w.Guard.Authorize(tx, c, check)
			return err
		})
	}
	for _, tt := range []struct {
		first, second []string
		allowed       bool
	}{
		{[]string{"RSA_2048", "RSA_2048"}, []string{"RSA_2048"}, true},
		{[]string{"HMAC_256", "RSA_2048"}, []string{"RSA_2048"}, false},
		{[]string{"RSA_2048", "HMAC_256"}, []string{"RSA_2048"}, false},
		{[]string{"RSA_2048", "RSA_2048"}, []string{"HMAC_256"}, false},
	} {
		c := newCall(user, "kms", "DescribeKey")
		_, err := w.Guard.Invoke(t.Context(), c, &in{}, guard.HandleVoid(func(ctx context.Context, c *guard.Call, _ *in) error {
			if err := decide(ctx, c, tt.first...); err != nil {
				return err
			}
			return decide(ctx, c, tt.second...)
		}))
		if (err == nil) != tt.allowed {
			t.Errorf("%v, then %v: %v", tt.first, tt.second, err)
		}
	}
}

func TestATrailThatCannotBeWrittenRefuses(t *testing.T) {
	w := guardtest.New(t)
	w.Lookup(admin) // made while the store still takes it
	w.Must(w.Trail.Close())
	t.Run("a read", func(t *testing.T) {
		out, err := w.Guard.Invoke(t.Context(), newCall(w.Lookup(admin), "kms", "Decrypt"), &in{}, read(w, onKey(t, "kms:Decrypt")))
		if e, ok := errors.AsType[*apierr.Error](err); out != nil || !ok || e.Code != "InternalFailure" || !e.Server {
			t.Errorf("Invoke = %v, %v", out, err)
		}
	})
	t.Run("a change, which does not happen", func(t *testing.T) {
		_, err := w.Guard.Invoke(t.Context(), newCall(w.Lookup(admin), "kms", "CreateThing"), &in{"one"}, write(w, onKey(t, "kms:EnableKey")))
		if apierr.Code(err) != "InternalFailure" || exists(w, "one") {
			t.Errorf("err = %v, changed = %v", err, exists(w, "one"))
		}
	})
}

func TestSecretsNeverReachTheTrail(t *testing.T) {
	w := guardtest.New(t)
	const plain = "attack at dawn, attack at dawn"
	c := newCall(w.Lookup(admin), "kms", "Encrypt")
	request := &kmsapi.EncryptRequest{KeyId: new(key), Plaintext: secret.Bytes(plain), GrantTokens: []string{plain}}
	_, err := w.Guard.Invoke(t.Context(), c, request, func(ctx context.Context, c *guard.Call, _ any) (any, error) {
		return nil, w.Guard.Update(ctx, c, func(tx store.Tx) error {
			c.Respond(&kmsapi.DecryptResponse{KeyId: new(key), Plaintext: secret.Bytes(plain)})
			_, err := w.Guard.Allow(tx, c, onKey(t, "kms:Encrypt"))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := only(t, w, c)
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"attack", "YXR0YWNr"} { // and in base64
		if strings.Contains(string(line), s) {
			t.Errorf("the record holds %q: %s", s, line)
		}
	}
	if !strings.Contains(string(r.RequestParameters), key) || !strings.Contains(string(r.ResponseElements), key) {
		t.Errorf("the record lacks the key: %s", line)
	}
}

func TestPermitsAreForWhatWasDecided(t *testing.T) {
	w := guardtest.New(t)
	authorize := func(as guard.Caller, check guard.Check) (permits []permit.Permit, err error) {
		c := newCall(as, "kms", "ReEncrypt")
		verr := w.Guard.View(t.Context(), c, func(tx store.Tx) error {
			permits, err = w.Guard.Authorize(tx, c, check)
			return nil
		})
		return permits, errors.Join(err, verr)
	}
	both := []authz.Part{onKey(t, "kms:ReEncryptFrom"), onKey(t, "kms:ReEncryptTo")}
	got, err := authorize(w.Lookup(admin), guard.Check{Parts: both})
	if err != nil || len(got) != 2 {
		t.Fatalf("Authorize = %v, %v", got, err)
	}
	steps := []struct {
		err error
		p   permit.Permit
		act string
		res string
	}{
		{permit.ErrMismatch, got[0], "kms:ReEncryptTo", key},
		{permit.ErrMismatch, got[0], "kms:ReEncryptFrom", "*"},
		{nil, got[0], "kms:ReEncryptFrom", key},
		{permit.ErrSpent, got[0], "kms:ReEncryptFrom", key},
		{nil, got[1], "kms:ReEncryptTo", key},
		{permit.ErrNone, permit.Permit{}, "kms:ReEncryptTo", key},
	}
	for i, s := range steps {
		if err := s.p.Spend(s.act, s.res); !errors.Is(err, s.err) {
			t.Errorf("step %d: %v, want %v", i, err, s.err)
		}
	}
	dry, err := authorize(w.Lookup(admin), guard.Check{Parts: both[:1], DryRun: true})
	if err != nil || !errors.Is(dry[0].Spend("kms:ReEncryptFrom", key), permit.ErrDryRun) {
		t.Errorf("dry run: %v, %v", dry, err)
	}
	if got, err := authorize(w.User(account, "ana", nothing), guard.Check{Parts: both}); err == nil || got != nil {
		t.Errorf("a refused caller has %v, %v", got, err)
	}
	if got, err := authorize(w.Lookup(admin), guard.Check{}); err == nil || got != nil {
		t.Errorf("nothing to decide gives %v, %v", got, err)
	}
}

func TestAllowedAsksWithoutARecord(t *testing.T) {
	w := guardtest.New(t)
	for as, want := range map[string]bool{admin: true, account: true} {
		c := newCall(w.Lookup(as), "kms", "PutKeyPolicy")
		w.Must(w.Guard.View(t.Context(), c, func(tx store.Tx) error {
			if got, err := w.Guard.Allowed(tx, c, onKey(t, "kms:PutKeyPolicy")); got != want || err != nil {
				t.Errorf("%s: Allowed = %v, %v", as, got, err)
			}
			return nil
		}))
		if all := records(t, w, c); len(all) != 0 {
			t.Errorf("records = %+v", all)
		}
	}
	c := newCall(w.User(account, "ana", nothing), "kms", "PutKeyPolicy")
	w.Must(w.Guard.View(t.Context(), c, func(tx store.Tx) error {
		if got, err := w.Guard.Allowed(tx, c, onKey(t, "kms:PutKeyPolicy")); got || err != nil {
			t.Errorf("Allowed = %v, %v", got, err)
		}
		return nil
	}))
}

func TestCauses(t *testing.T) {
	w := guardtest.New(t)
	w.Must(w.Guard.Change(t.Context(), func(tx store.Tx) error {
		return w.Guard.LinkCause(tx, account, guardtest.Region, "i-1", "request-1")
	}))
	w.Must(w.Guard.Change(t.Context(), func(tx store.Tx) error {
		if err := w.Guard.PassCause(tx, account, guardtest.Region, "i-1", "activity-1"); err != nil {
			return err
		}
		return w.Guard.PassCause(tx, account, guardtest.Region, "i-unknown", "activity-2")
	}))
	w.View(func(tx store.Tx) error {
		for resource, want := range map[string]string{"i-1": "request-1", "activity-1": "request-1", "activity-2": ""} {
			if got, ok, err := w.Trail.Cause(tx, account, guardtest.Region, resource); got != want || ok != (want != "") || err != nil {
				t.Errorf("Cause(%s) = %q, %v, %v", resource, got, ok, err)
			}
		}
		return nil
	})
}

func TestServicesInTheRecord(t *testing.T) {
	w := guardtest.New(t)
	invoke := func(as guard.Caller) *guard.Call {
		c := newCall(as, "kms", "Decrypt")
		_, err := w.Guard.Invoke(t.Context(), c, &in{}, func(ctx context.Context, c *guard.Call, _ any) (any, error) {
			c.Touch(key, account, "AWS::KMS::Key")
			return nil, nil
		})
		w.Must(err)
		return c
	}
	r, _ := only(t, w, invoke(guard.Caller{Identity: directory.ServiceIdentity("ebs.amazonaws.com")}))
	if r.UserIdentity.Type != "AWSService" || r.UserIdentity.InvokedBy != "ebs.amazonaws.com" || r.SourceIPAddress != "ebs.amazonaws.com" ||
		r.RecipientAccountID != account {
		t.Errorf("a service: %+v", r)
	}
	r, _ = only(t, w, invoke(guard.Caller{Identity: w.Directory.InfrastructureIdentity(account, guardtest.Region, "i-1")}))
	if r.UserIdentity.Type != "AssumedRole" || r.UserIdentity.InvokedBy != "AWS Internal" || r.SourceIPAddress != "AWS Internal" ||
		r.UserIdentity.InScopeOf == nil || r.UserIdentity.InScopeOf.CredentialsIssuedTo != "arn:aws:ec2:us-west-2:111122223333:instance/i-1" {
		t.Errorf("the infrastructure role: %+v", r)
	}
}

// An event on another account's resource is in the trails of both accounts, unless it was refused.
func TestEventsOfTwoAccounts(t *testing.T) {
	const owner = "444455556666"
	foreign := "arn:aws:kms:us-west-2:" + owner + ":key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	denied := func(w *guardtest.World, c *guard.Call) error {
		return w.Guard.View(t.Context(), c, func(tx store.Tx) error {
			_, err := w.Guard.Allow(tx, c, part("kms:Decrypt"))
			return err
		})
	}
	for _, tt := range []struct {
		name      string
		as        func(*guardtest.World) guard.Caller
		resource  string
		owner     string
		fail      func(*guardtest.World, *guard.Call) error
		recipient string
		shared    bool
	}{
		{"own key", func(w *guardtest.World) guard.Caller { return w.Lookup(admin) }, key, account, nil, account, false},
		{"foreign key", func(w *guardtest.World) guard.Caller { return w.Lookup(admin) }, foreign, owner, nil, account, true},
		{"foreign key that is disabled", func(w *guardtest.World) guard.Caller { return w.Lookup(admin) }, foreign, owner,
			func(*guardtest.World, *guard.Call) error { return apierr.New("DisabledException", "disabled") }, account, true},
		{"foreign key, refused", func(w *guardtest.World) guard.Caller { return w.User(account, "ana", nothing) }, foreign, owner, denied, account, false},
		{"foreign key, hidden", func(w *guardtest.World) guard.Caller { return w.Lookup(admin) }, foreign, owner,
			func(*guardtest.World, *guard.Call) error { return apierr.New("AccessDeniedException", "hidden") }, account, false},
		{"a service", func(*guardtest.World) guard.Caller {
			return guard.Caller{Identity: directory.ServiceIdentity("autoscaling.amazonaws.com")}
		}, key, account, nil, account, false},
		{"a service, refused", func(*guardtest.World) guard.Caller {
			return guard.Caller{Identity: directory.ServiceIdentity("autoscaling.amazonaws.com")}
		}, key, account, denied, account, false},
		{"a service for an account, on a foreign key", func(*guardtest.World) guard.Caller {
			return guard.Caller{Identity: directory.ServiceIdentity("ebs.amazonaws.com"), SourceAccount: account}
		}, foreign, owner, nil, account, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := guardtest.New(t)
			c := newCall(tt.as(w), "kms", "Decrypt")
			_, err := w.Guard.Invoke(t.Context(), c, &in{}, func(ctx context.Context, c *guard.Call, _ any) (any, error) {
				c.Touch("arn:aws:s3:::of-nobody", "", "")
				c.Touch(tt.resource, tt.owner, "AWS::KMS::Key")
				if tt.fail != nil {
					return nil, tt.fail(w, c)
				}
				return nil, nil
			})
			if (err != nil) != (tt.fail != nil) {
				t.Fatal(err)
			}
			all := records(t, w, c)
			if len(all) != 1 {
				t.Fatalf("%d records", len(all))
			}
			r := &all[0]
			if r.RecipientAccountID != tt.recipient || (r.SharedEventID != "") != tt.shared || r.SharedEventID == r.EventID {
				t.Errorf("recipient %q, shared event %q", r.RecipientAccountID, r.SharedEventID)
			}
			theirs, ok := r.For(tt.owner)
			if sees := tt.shared || tt.owner == tt.recipient; ok != sees || theirs.SharedEventID != r.SharedEventID {
				t.Errorf("%s sees it: %t", tt.owner, ok)
			}
		})
	}
}
