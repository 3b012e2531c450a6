package kms_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/hsm/hsmtest"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/memory"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/xks"
)

// Accounts and region of the tests: owner has the keys, other does not.
const (
	owner  = "444455556666"
	other  = "111122223333"
	third  = "777788889999"
	region = "us-west-2"
)

// A world is KMS with everything real around it, over the strict store.
type world struct {
	t     testing.TB
	kms   *kms.Service
	dir   *directory.Directory
	guard *guard.Guard
	store *memory.Store
	disk  *disk // what the service is given as its store
	trail *trail.Trail
	clock *clock.Clock
	hsm   hsm.Module
	roots []string    // fingerprints of roots of attestation documents
	ekm   *xks.Client // asks external key store proxies; nil reaches none
	wall  func() time.Time
	log   io.Writer // where the service logs to, beside the test's output
	table *wire.Table
	ops   map[string]guard.Handler
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(memory.Config{Seed: 1}), clock: clock.New(), hsm: hsmtest.New(t)}
	w.disk = &disk{Store: w.store}
	t.Cleanup(func() { check(t, w.store.Close()) })
	root, err := os.OpenRoot(t.TempDir())
	check(t, err)
	w.trail, err = trail.Open(trail.Config{Dir: root, Store: w.store})
	check(t, err)
	t.Cleanup(func() { w.clock.Stop(); check(t, w.trail.Close()) })
	w.dir, err = directory.New(directory.Config{
		Store: w.store, Keys: w.hsm.Box("keys"), Sessions: directory.SessionBoxes(w.hsm.Box), Wall: time.Now, Dev: true,
	})
	check(t, err)
	w.table, err = wire.TableOf(kmsapi.Service())
	check(t, err)
	w.restart()
	return w
}

// restart makes the service anew over what is stored, with the clock and module of the world.
func (w *world) restart() {
	w.t.Helper()
	out := w.t.Output()
	if w.log != nil {
		out = io.MultiWriter(out, w.log)
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	w.guard = guard.New(guard.Config{Store: w.disk, Directory: w.dir, Trail: w.trail, Now: w.clock.Now, Logger: logger})
	w.kms = kms.New(kms.Config{Guard: w.guard, Module: w.hsm, Clock: w.clock, Logger: logger, CustomIDs: true, External: w.ekm, Wall: w.wall, Attest: attest.NewVerifier(nil, w.roots...)})
	w.ops = w.kms.Operations()
	check(w.t, w.kms.Start(w.t.Context()))
}

// run is t.Run for a test that shares its world: failures are those of the subtest.
func (w *world) run(name string, fn func(t *testing.T)) {
	parent := w.t.(*testing.T)
	parent.Run(name, func(t *testing.T) {
		w.t = t
		defer func() { w.t = parent }()
		fn(t)
	})
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
	region string
}

func (w *world) as(id directory.Identity) *who {
	return &who{w, guard.Caller{Identity: id, SourceIP: "203.0.113.7", UserAgent: "test", Secure: true}, region}
}

// root is the root user of an account.
func (w *world) root(account string) *who {
	w.t.Helper()
	_, id, err := w.dir.Lookup(w.t.Context(), account, "")
	check(w.t, err)
	return w.as(id)
}

// user makes an IAM user with inline policies.
func (w *world) user(account, name string, policies ...string) *who {
	w.t.Helper()
	u := directory.User{Account: account, Name: name, Path: "/", ID: directory.NewID("AIDA"), Created: time.Now(), Inline: inline(policies)}
	var key directory.AccessKey
	w.update(func(tx store.Tx) (err error) {
		if err := w.dir.PutUser(tx, u); err != nil {
			return err
		}
		key, _, err = w.dir.NewAccessKey(tx, account, name, u.ID)
		return err
	})
	_, id, err := w.dir.Lookup(w.t.Context(), key.ID, "")
	check(w.t, err)
	return w.as(id)
}

// role makes an IAM role.
func (w *world) role(account, path, name string, policies ...string) directory.Role {
	w.t.Helper()
	r := directory.Role{
		Account: account, Name: name, Path: path, ID: directory.NewID("AROA"), Created: time.Now(), Inline: inline(policies),
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
	}
	w.update(func(tx store.Tx) error { return w.dir.PutRole(tx, r) })
	return r
}

// autoScaling is the service-linked role of an account.
func (w *world) autoScaling(account string) directory.Role {
	return w.role(account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
}

// session is a session of a role.
func (w *world) session(r directory.Role, name string) *who {
	w.t.Helper()
	var id directory.Identity
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) (err error) {
		id, err = w.dir.SessionIdentity(tx, directory.SessionGrant{
			Account: r.Account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: name,
			IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	}))
	return w.as(id)
}

// instance is the infrastructure role of an instance.
func (w *world) instance(account, id string) *who {
	return w.as(w.dir.InfrastructureIdentity(account, region, id))
}

// service is an AWS service that calls in its own name.
func (w *world) service(principal string) *who { return w.as(directory.ServiceIdentity(principal)) }

func (w *world) update(fn func(store.Tx) error) {
	w.t.Helper()
	check(w.t, w.store.Update(w.t.Context(), fn))
}

func inline(policies []string) map[string]string {
	m := map[string]string{}
	for i, p := range policies {
		m[string(rune('a'+i))] = p
	}
	return m
}

// via is the caller as EC2 forwards it.
func (c *who) via(service string) *who {
	return &who{c.w, c.caller.Via(service), c.region}
}

// in is the caller in another region.
func (c *who) in(region string) *who { return &who{c.w, c.caller, region} }

func (c *who) arn() string { return c.caller.Principal.ARN }

// do validates and serves a request as the gateway does.
func (c *who) do(ctx context.Context, in any) (out any, id string, err error) {
	op := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Request")
	h := c.w.ops[op]
	if h == nil {
		return nil, "", errors.New("no operation " + op)
	}
	call := &guard.Call{
		ID: guard.NewRequestID(), Service: "kms", Operation: op, Region: c.region, Caller: c.caller, Time: c.w.guard.Now(),
		ReadOnly: c.w.table.Service().Operations[op].ReadOnly,
	}
	if err := c.w.table.Validate(in); err != nil {
		return nil, call.ID, err
	}
	out, err = c.w.guard.Invoke(ctx, call, in, h)
	return out, call.ID, err
}

// try is do for the error alone.
func (c *who) try(in any) error {
	_, _, err := c.do(c.w.t.Context(), in)
	return err
}

// must fails the test if the request does.
func (c *who) must(in any) {
	c.w.t.Helper()
	if err := c.try(in); err != nil {
		c.w.t.Fatalf("%s as %s: %v", reflect.TypeOf(in).Elem().Name(), c.arn(), err)
	}
}

// get is must with the answer.
func get[Out any](c *who, in any) *Out {
	c.w.t.Helper()
	out, _, err := c.do(c.w.t.Context(), in)
	if err != nil {
		c.w.t.Fatalf("%s as %s: %v", reflect.TypeOf(in).Elem().Name(), c.arn(), err)
	}
	return out.(*Out)
}

// createKey makes a key and returns its metadata.
func (c *who) createKey(in *kmsapi.CreateKeyRequest) *kmsapi.KeyMetadata {
	c.w.t.Helper()
	return get[kmsapi.CreateKeyResponse](c, in).KeyMetadata
}

// newKey makes a key with the default policy, or with the given statements beside that one, and
// returns its ARN.
func (c *who) newKey(statements ...string) string {
	c.w.t.Helper()
	in := &kmsapi.CreateKeyRequest{}
	if len(statements) > 0 {
		in.Policy = new(document(append([]string{rootStatement(c.caller.Principal.Account)}, statements...)...))
	}
	return *c.createKey(in).Arn
}

func (c *who) describe(key string) *kmsapi.KeyMetadata {
	c.w.t.Helper()
	return get[kmsapi.DescribeKeyResponse](c, &kmsapi.DescribeKeyRequest{KeyId: &key}).KeyMetadata
}

func (c *who) encrypt(key, plaintext string, context map[string]string) []byte {
	c.w.t.Helper()
	return get[kmsapi.EncryptResponse](c, &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte(plaintext), EncryptionContext: context}).CiphertextBlob
}

// document is a policy of statements.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func rootStatement(account string) string {
	return `{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"` + arn.Root(account) + `"},"Action":"kms:*","Resource":"*"}`
}

// allow is a statement; condition may be "".
func allow(principal, condition string, actions ...string) string {
	return statement("Allow", principal, condition, actions...)
}

func statement(effect, principal, condition string, actions ...string) string {
	s := map[string]any{"Effect": effect, "Action": actions, "Resource": "*"}
	if principal != "" {
		s["Principal"] = map[string]string{"AWS": principal}
	}
	if condition != "" {
		s["Condition"] = json.RawMessage(condition)
	}
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// iam is an identity policy that allows actions on a resource.
func iam(resource string, actions ...string) string {
	s := map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource}
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return document(string(data))
}

// wantErr wants an error of that code and, unless it is "*", exactly that message.
func wantErr(t testing.TB, err error, code, message string) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if e.Code != code || message != "*" && e.Message != message {
		t.Errorf("got %s: %s\nwant %s: %s", e.Code, e.Message, code, message)
	}
}

// wantDenied wants AccessDeniedException with AWS's usual text up to the reason.
func wantDenied(t testing.TB, err error, c *who, action, resource, reason string) {
	t.Helper()
	wantErr(t, err, "AccessDeniedException",
		"User: "+c.arn()+" is not authorized to perform: "+action+" on resource: "+resource+" because "+reason)
}

// Reasons of denials.
func noIdentity(action string) string {
	return "no identity-based policy allows the " + action + " action"
}
func noResource(action string) string {
	return "no resource-based policy allows the " + action + " action"
}

// wantHidden wants the denial that does not tell whether the resource exists.
func wantHidden(t testing.TB, err error, c *who, action string) {
	t.Helper()
	wantErr(t, err, "AccessDeniedException", "User: "+c.arn()+" is not authorized to perform: "+action+" on this resource because "+
		"the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access")
}

// records are those of the account, newest first.
func (w *world) records(f trail.Filter) []trail.Record {
	w.t.Helper()
	check(w.t, w.trail.Flush(w.t.Context()))
	recs, err := w.trail.Find(w.t.Context(), f)
	check(w.t, err)
	return recs
}

// size counts the records in a bucket.
func (w *world) size(bucket string) (n int) {
	w.t.Helper()
	check(w.t, w.store.View(w.t.Context(), func(tx store.Tx) error {
		for _, err := range tx.Scan(bucket, store.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}

func id(keyARN string) string { return keyARN[strings.LastIndexByte(keyARN, '/')+1:] }

const missing = "1234abcd-12ab-34cd-56ef-1234567890ab" // a key id that nobody has

func missingARN(account string) string { return arn.KMSKey(region, account, missing) }
