package iam_test

import (
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/iam"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/wire"
)

const account = "111122223333"

// A world is IAM with everything real around it, over the strict store.
type world struct {
	t     testing.TB
	dir   *directory.Directory
	guard *guard.Guard
	store *memory.Store
	trail *trail.Trail
	table *wire.Table
	iam   *iam.Service
	ops   map[string]guard.Handler
	usage map[string]map[string][]string // by role ARN: what uses it
}

func newWorld(t testing.TB, change ...func(*iam.Config)) *world {
	t.Helper()
	module := hsmtest.New(t)
	w := &world{t: t, store: memory.New(memory.Config{Seed: 1}), usage: map[string]map[string][]string{}}
	t.Cleanup(func() { check(t, w.store.Close()) })
	root, err := os.OpenRoot(t.TempDir())
	check(t, err)
	now := clock.New().Now
	w.trail, err = trail.Open(trail.Config{Dir: root, Store: w.store, Now: now})
	check(t, err)
	t.Cleanup(func() { check(t, w.trail.Close()) })
	w.dir, err = directory.New(directory.Config{
		Store: w.store, Keys: module.Box("keys"), Sessions: directory.SessionBoxes(module.Box), Wall: time.Now, Dev: true,
	})
	check(t, err)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.guard = guard.New(guard.Config{Store: w.store, Directory: w.dir, Trail: w.trail, Now: now, Logger: logger})
	w.table, err = wire.TableOf(iamapi.Service())
	check(t, err)
	cfg := iam.Config{
		Guard: w.guard, Markers: module.Box("iam marker"), Secrets: module.Box("iam secret"),
		RoleUsage: func(_ store.Tx, roleARN string) (map[string][]string, error) { return w.usage[roleARN], nil },
	}
	for _, f := range change {
		f(&cfg)
	}
	w.iam = iam.New(cfg)
	w.ops = w.iam.Operations()
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

// login is whom an access key means.
func (w *world) login(key string) *who {
	w.t.Helper()
	_, id, err := w.dir.Lookup(w.t.Context(), key, "")
	check(w.t, err)
	return w.as(id)
}

// admin is the account's user with AdministratorAccess.
func (w *world) admin() *who { return w.login(account + "ADMIN") }

func (w *world) root() *who { return w.login(account) }

// user is a new user with one inline policy of the given statements.
func (w *world) user(name string, statements ...string) *who {
	w.t.Helper()
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: &name})
	if len(statements) > 0 {
		a.must(&iamapi.PutUserPolicyRequest{UserName: &name, PolicyName: new("p"), PolicyDocument: new(document(statements...))})
	}
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: &name}).AccessKey
	return w.login(*key.AccessKeyId)
}

// session is a session of a role of the account.
func (w *world) session(role string) *who {
	w.t.Helper()
	var id directory.Identity
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) error {
		r, _, err := w.dir.Role(tx, account, role)
		if err != nil {
			return err
		}
		id, err = w.dir.SessionIdentity(tx, directory.SessionGrant{
			Account: account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: "s",
			IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	}))
	return w.as(id)
}

// do validates and serves a request as the gateway does.
func (c *who) do(in any) (any, error) {
	c.w.t.Helper()
	op := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Request")
	h := c.w.ops[op]
	if h == nil {
		c.w.t.Fatalf("no operation %s", op)
	}
	call := &guard.Call{
		ID: guard.NewRequestID(), Service: "iam", Operation: op, Region: "us-east-1", Caller: c.caller, Time: c.w.guard.Now(),
		ReadOnly: c.w.table.Service().Operations[op].ReadOnly,
	}
	if err := c.w.table.Validate(in); err != nil {
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
	f := c.w.table.Fault(err, "id")
	if f.Code != code || f.Status != status || !strings.Contains(f.Message, message) {
		c.w.t.Errorf("%T:\ngot  %d %s: %s\nwant %d %s: ...%s...", in, f.Status, f.Code, f.Message, status, code, message)
	}
}

// document is a policy of statements.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// allow is a statement that allows actions on everything.
func allow(actions string) string {
	return `{"Effect":"Allow","Action":` + actions + `,"Resource":"*"}`
}

// trusts is a trust policy for one principal, such as "Service":"ec2.amazonaws.com".
func trusts(principal string) string {
	return document(`{"Effect":"Allow","Principal":{` + principal + `},"Action":"sts:AssumeRole"}`)
}

var ec2Trust = trusts(`"Service":"ec2.amazonaws.com"`)

func (c *who) createRole(name string) *iamapi.Role {
	c.w.t.Helper()
	return get[iamapi.CreateRoleResponse](c, &iamapi.CreateRoleRequest{RoleName: &name, AssumeRolePolicyDocument: &ec2Trust}).Role
}

func (c *who) createPolicy(name string) string {
	c.w.t.Helper()
	in := &iamapi.CreatePolicyRequest{PolicyName: &name, PolicyDocument: new(document(allow(`"s3:GetObject"`)))}
	return *get[iamapi.CreatePolicyResponse](c, in).Policy.Arn
}

func decoded(t testing.TB, doc *string) string {
	t.Helper()
	if doc == nil {
		t.Fatal("no document")
	}
	if strings.ContainsAny(*doc, `{"+ `) {
		t.Errorf("document is not URL encoded: %s", *doc)
	}
	s, err := url.PathUnescape(*doc)
	check(t, err)
	return s
}

// records are all records of the trail.
func (w *world) records(t testing.TB) []trail.Record {
	t.Helper()
	check(t, w.trail.Flush(t.Context()))
	recs, err := w.trail.Find(t.Context(), trail.Filter{})
	check(t, err)
	return recs
}
