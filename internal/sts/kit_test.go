package sts_test

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/sts"
	"github.com/kagimori/kagimori/internal/sts/webidentity"
	"github.com/kagimori/kagimori/internal/sts/webidentity/issuertest"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/wire"
)

const (
	account = "111122223333"
	foreign = "444455556666"
)

// A world is STS and IAM with everything real around them, over the strict store.
type world struct {
	t        testing.TB
	dir      *directory.Directory
	guard    *guard.Guard
	store    *memory.Store
	trail    *trail.Trail
	sts      *sts.Service
	people   *iam.Service
	table    map[string]*wire.Table
	ops      map[string]map[string]guard.Handler
	wall     time.Time
	messages sts.Messages
}

// goodCode is the code that the one MFA device of the tests shows.
const goodCode = "424242"

func phone(_ context.Context, _ authz.Principal, serial, code string) (known, ok bool, err error) {
	known = serial == "arn:aws:iam::111122223333:mfa/phone"
	return known, known && code == goodCode, nil
}

// tokens verifies the tokens of an issuer.
func tokens(i *issuertest.Issuer, wall func() time.Time) *webidentity.Verifier {
	return webidentity.New(webidentity.Config{Outbound: i.Client(), Wall: wall})
}

func newWorld(t testing.TB, change ...func(*sts.Config)) *world {
	t.Helper()
	module := hsmtest.New(t)
	w := &world{t: t, store: memory.New(memory.Config{Seed: 1}), wall: time.Date(2026, 5, 6, 7, 8, 9, 10, time.UTC)}
	t.Cleanup(func() { check(t, w.store.Close()) })
	root, err := os.OpenRoot(t.TempDir())
	check(t, err)
	now := clock.New().Now
	w.trail, err = trail.Open(trail.Config{Dir: root, Store: w.store, Now: now})
	check(t, err)
	t.Cleanup(func() { check(t, w.trail.Close()) })
	wall := func() time.Time { return w.wall }
	w.dir, err = directory.New(directory.Config{
		Store: w.store, Keys: module.Box("keys"), Sessions: directory.SessionBoxes(module.Box), Wall: wall, Dev: true,
	})
	check(t, err)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.guard = guard.New(guard.Config{Store: w.store, Directory: w.dir, Trail: w.trail, Now: now, Logger: logger})
	w.messages = sts.Messages{Box: module.Box("messages")}
	cfg := sts.Config{Guard: w.guard, Wall: wall, Messages: w.messages, MFA: phone, Logger: logger}
	for _, f := range change {
		f(&cfg)
	}
	w.sts = sts.New(cfg)
	w.people = iam.New(iam.Config{Guard: w.guard, Markers: module.Box("iam marker")})
	w.table = map[string]*wire.Table{}
	w.table["iam"], err = wire.TableOf(iamapi.Service())
	check(t, err)
	w.table["sts"], err = wire.TableOf(stsapi.Service())
	check(t, err)
	w.ops = map[string]map[string]guard.Handler{
		"iam": w.people.Operations(), "sts": w.sts.Operations(),
	}
	return w
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A who makes calls.
type who struct {
	w      *world
	caller guard.Caller
}

func (w *world) as(id directory.Identity) *who {
	return &who{w, guard.Caller{Identity: id, SourceIP: "203.0.113.7", UserAgent: "test", Secure: true}}
}

// login is whom an access key, with a session token if it is temporary, means.
func (w *world) login(key, token string) *who {
	w.t.Helper()
	_, id, err := w.dir.Lookup(w.t.Context(), key, token)
	check(w.t, err)
	return w.as(id)
}

// admin is an account's user with AdministratorAccess.
func (w *world) admin(account string) *who { return w.login(account+"ADMIN", "") }

// user is a new user with one inline policy of the given statements.
func (w *world) user(account, name string, statements ...string) *who {
	w.t.Helper()
	a := w.admin(account)
	a.must(&iamapi.CreateUserRequest{UserName: &name})
	if len(statements) > 0 {
		a.must(&iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("p"), PolicyDocument: new(document(statements...))})
	}
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return w.login(*key.AccessKeyId, "")
}

// role makes a role with a trust policy of the given statements and returns its ARN.
func (w *world) role(account, name string, trust ...string) string {
	w.t.Helper()
	in := &iamapi.CreateRoleRequest{RoleName: &name, AssumeRolePolicyDocument: new(document(trust...))}
	return *get[iamapi.CreateRoleResponse](w.admin(account), in).Role.Arn
}

// do validates and serves a request as the gateway does.
func (c *who) do(in any) (any, error) {
	c.w.t.Helper()
	typ := reflect.TypeOf(in).Elem()
	op, service := strings.TrimSuffix(typ.Name(), "Request"), "sts"
	if strings.HasSuffix(typ.PkgPath(), "iamapi") {
		service = "iam"
	}
	h := c.w.ops[service][op]
	if h == nil {
		c.w.t.Fatalf("no operation %s", op)
	}
	call := &guard.Call{
		ID: guard.NewRequestID(), Service: service, Operation: op, Region: "eu-west-1", Caller: c.caller, Time: c.w.guard.Now(),
		ReadOnly: c.w.table[service].Service().Operations[op].ReadOnly,
	}
	if err := c.w.table[service].Validate(in); err != nil {
		return nil, err
	}
	return c.w.guard.Invoke(c.w.t.Context(), call, in, h)
}

func (c *who) must(in any) {
	c.w.t.Helper()
	if _, err := c.do(in); err != nil {
		c.w.t.Fatalf("%s: %v", reflect.TypeOf(in).Elem().Name(), err)
	}
}

// get is must with the answer.
func get[Out any](c *who, in any) *Out {
	c.w.t.Helper()
	out, err := c.do(in)
	if err != nil {
		c.w.t.Fatalf("%s: %v", reflect.TypeOf(in).Elem().Name(), err)
	}
	return out.(*Out)
}

// refused wants an error as a client sees it.
func (c *who) refused(in any, status int, code, message string) {
	c.w.t.Helper()
	_, err := c.do(in)
	if err == nil {
		c.w.t.Errorf("%T: no error, want %s", in, code)
		return
	}
	f := c.w.table["sts"].Fault(err, "id")
	if f.Code != code || f.Status != status || !strings.Contains(f.Message, message) {
		c.w.t.Errorf("%T:\ngot  %d %s: %s\nwant %d %s: ...%s...", in, f.Status, f.Code, f.Message, status, code, message)
	}
}

// assume is the session that AssumeRole gives.
func (c *who) assume(in *stsapi.AssumeRoleRequest) *who {
	c.w.t.Helper()
	if in.RoleSessionName == nil {
		in.RoleSessionName = new("session")
	}
	cr := get[stsapi.AssumeRoleResponse](c, in).Credentials
	return c.w.login(*cr.AccessKeyId, *cr.SessionToken)
}

// assuming is a request for a role.
func assuming(role string, change ...func(*stsapi.AssumeRoleRequest)) *stsapi.AssumeRoleRequest {
	in := &stsapi.AssumeRoleRequest{RoleArn: &role, RoleSessionName: new("session")}
	for _, f := range change {
		f(in)
	}
	return in
}

// document is a policy of statements.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// allow is a statement that allows actions on everything.
func allow(actions string) string {
	return `{"Effect":"Allow","Action":` + actions + `,"Resource":"*"}`
}

// trust lets a principal, such as "AWS":"111122223333", do actions.
func trust(principal, actions string) string {
	return `{"Effect":"Allow","Principal":{` + principal + `},"Action":` + actions + `}`
}

// trustWhen is trust under a condition.
func trustWhen(principal, actions, condition string) string {
	return `{"Effect":"Allow","Principal":{` + principal + `},"Action":` + actions + `,"Condition":` + condition + `}`
}

const (
	ownAccount = `"AWS":"111122223333"`
	assumeOnly = `"sts:AssumeRole"`
	everything = `"sts:*"`
)

// records are all records of the trail.
func (w *world) records() []trail.Record {
	w.t.Helper()
	check(w.t, w.trail.Flush(w.t.Context()))
	recs, err := w.trail.Find(w.t.Context(), trail.Filter{})
	check(w.t, err)
	return recs
}

// call is a call of another service on whose behalf something happens.
func (c *who) call() *guard.Call {
	return &guard.Call{ID: guard.NewRequestID(), Service: "autoscaling", Operation: "CreateAutoScalingGroup", Region: "eu-west-1", Caller: c.caller, Time: c.w.guard.Now()}
}
