package partition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const (
	account = "111122223333"
	region  = "us-west-2"
	root    = "arn:aws:iam::" + account + ":root"
	// patience is how long a client waits for an answer.
	patience = 5 * time.Second
	// perNode is how many clients ask each node; readers of them only read. One that writes waits while
	// its node is cut off, and would not see what is old.
	perNode, readers = 4, 2
)

func userARN(name string) string { return "arn:aws:iam::" + account + ":user/" + name }

// users are those whom grants are for, and the one whom policies let in.
var users = []string{"u0", "u1", "p"}

// A crowd is everybody's credentials.
type crowd map[string]sigv4.Credentials

// admin is the administrator, whom a development server knows.
const admin = "admin"

// people makes the users.
func (w *World) people(ctx context.Context) (crowd, error) {
	c := crowd{admin: {AccessKeyID: account + "ADMIN", Secret: "test"}}
	web, err := w.HTTP(0, 20*time.Second)
	if err != nil {
		return nil, err
	}
	iam, err := client.New(endpoint, region, c[admin], iamapi.Service())
	if err != nil {
		return nil, err
	}
	iam.HTTP = web
	for _, u := range users {
		var made iamapi.CreateAccessKeyResponse
		if err := iam.Do(ctx, "CreateUser", &iamapi.CreateUserRequest{UserName: &u}, nil); err != nil {
			return nil, err
		}
		if err := iam.Do(ctx, "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &u}, &made); err != nil {
			return nil, err
		}
		c[u] = sigv4.Credentials{AccessKeyID: *made.AccessKey.AccessKeyId, Secret: *made.AccessKey.SecretAccessKey}
	}
	return c, nil
}

// A hot key is one that all clients work on.
type hotKey struct {
	id string

	mu      sync.Mutex
	grants  []known // not known to be gone; guarded by mu
	unknown int     // writes of which nobody knows whether they happened; guarded by mu
	made    int     // guarded by mu
}

type known struct{ name, id, user string }

// mostUnknown is how many writes of a key may be unknown before nobody writes to it any more: the search
// for an order takes twice as long with each.
const mostUnknown = 12

func (k *hotKey) learn(g known) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.grants, g) {
		k.grants = append(k.grants, g)
	}
}

func (k *hotKey) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.grants = slices.DeleteFunc(k.grants, func(g known) bool { return g.id == id })
}

// next is a number that no other write of the key has.
func (k *hotKey) next() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	return strconv.Itoa(k.made)
}

// policyOf is the text of a policy by its version.
func policyOf(version string) string {
	allow := func(who, what string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":"` + what + `","Resource":"*"}`
	}
	statements := allow(root, "kms:*")
	if lets(version) {
		statements += "," + allow(userARN("p"), "kms:Encrypt")
	}
	return `{"Version":"2012-10-17","Id":"` + version + `","Statement":[` + statements + `]}`
}

// versionOf undoes policyOf. A policy that lets in another one than its version says has none.
func versionOf(text string) string {
	var doc struct{ ID string }
	if err := json.Unmarshal([]byte(text), &doc); err != nil || lets(doc.ID) != strings.Contains(text, userARN("p")) {
		return "broken: " + text
	}
	return doc.ID
}

// A caller is a client of one node.
type caller struct {
	w         *World
	number    int
	node      int
	kms       map[string]*client.Client
	r         *rand.Rand
	ops       []Op
	careful   bool // the last write is unknown: it reads until it has an answer
	reader    bool // it never writes
	refused   int  // answers with 503
	oddities  []string
	connected bool
}

func (w *World) newCaller(number, node int, people crowd, seed uint64, timeout time.Duration) (*caller, error) {
	web, err := w.HTTP(node, timeout)
	if err != nil {
		return nil, err
	}
	c := &caller{w: w, number: number, node: node, kms: map[string]*client.Client{}, r: rand.New(rand.NewPCG(seed, uint64(number)))}
	for name, creds := range people {
		if c.kms[name], err = client.New(endpoint, region, creds, kmsapi.Service()); err != nil {
			return nil, err
		}
		c.kms[name].HTTP = web
	}
	return c, nil
}

// keys makes keys, and waits until every node has to know them.
func (c *caller) keys(ctx context.Context, n int) (out []*hotKey, err error) {
	for range n {
		var made kmsapi.CreateKeyResponse
		for try := 0; ; try++ {
			err = c.kms[admin].Do(ctx, "CreateKey", &kmsapi.CreateKeyRequest{Policy: new(policyOf(firstPolicy))}, &made)
			if err == nil {
				break
			}
			if try > 20 {
				return nil, err
			}
			time.Sleep(500 * time.Millisecond)
		}
		out = append(out, &hotKey{id: *made.KeyMetadata.KeyId})
	}
	time.Sleep(Bound)
	return out, nil
}

// Bound is how old what a node answers may be.
const Bound = time.Second

// run asks until ctx ends.
func (c *caller) run(ctx context.Context, keys []*hotKey) {
	for ctx.Err() == nil {
		k := keys[c.r.IntN(len(keys))]
		c.one(k, c.choose(k))
		pause := time.Duration(2+c.r.IntN(8)) * time.Millisecond
		if c.careful || !c.connected {
			pause += 50 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

// choose is what to do next.
func (c *caller) choose(k *hotKey) Kind {
	k.mu.Lock()
	grants, reads := len(k.grants), c.reader || c.careful || k.unknown >= mostUnknown
	k.mu.Unlock()
	n := c.r.IntN(100)
	if reads {
		n = c.r.IntN(70)
	}
	switch {
	case n < 10:
		return ReadState
	case n < 18:
		return ReadPolicy
	case n < 28:
		return ListGrants
	case n < 52:
		return UseGrant
	case n < 70:
		return UsePolicy
	case n < 76:
		return PutPolicy
	case n < 79:
		return Disable
	case n < 85:
		return Enable
	case grants < 3 && n < 93:
		return CreateGrant
	case grants > 0:
		return RevokeGrant
	}
	return CreateGrant
}

// one does an operation and writes it down.
func (c *caller) one(k *hotKey, kind Kind) {
	o := Op{Client: c.number, Node: c.node, Key: k.id, Kind: kind}
	who, do := c.request(k, &o)
	if do == nil {
		return
	}
	o.Call = c.w.now()
	err := do(c.kms[who])
	o.Return = c.w.now()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		c.connected = false // nothing has happened
		return
	}
	c.connected = true
	o.Outcome = c.outcome(o, err)
	if o.Outcome == Unknown && kind.Writes() {
		o.Return = forever
		k.mu.Lock()
		k.unknown++
		k.mu.Unlock()
	}
	c.careful = o.Outcome == Unknown
	c.ops = append(c.ops, o)
}

// request prepares an operation: who asks, and what. What is read goes into the operation.
func (c *caller) request(k *hotKey, o *Op) (who string, do func(*client.Client) error) {
	ctx := context.Background()
	who = admin
	switch o.Kind {
	case Enable:
		do = func(kms *client.Client) error {
			return kms.Do(ctx, "EnableKey", &kmsapi.EnableKeyRequest{KeyId: &k.id}, nil)
		}
	case Disable:
		do = func(kms *client.Client) error {
			return kms.Do(ctx, "DisableKey", &kmsapi.DisableKeyRequest{KeyId: &k.id}, nil)
		}
	case ReadState:
		do = func(kms *client.Client) error {
			var out kmsapi.DescribeKeyResponse
			err := kms.Do(ctx, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &k.id}, &out)
			if err == nil {
				o.Enabled = *out.KeyMetadata.KeyState == "Enabled"
			}
			return err
		}
	case PutPolicy:
		o.Policy = k.next()
		if c.r.IntN(2) == 0 {
			o.Policy += "+"
		}
		do = func(kms *client.Client) error {
			return kms.Do(ctx, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &k.id, Policy: new(policyOf(o.Policy))}, nil)
		}
	case ReadPolicy:
		do = func(kms *client.Client) error {
			var out kmsapi.GetKeyPolicyResponse
			err := kms.Do(ctx, "GetKeyPolicy", &kmsapi.GetKeyPolicyRequest{KeyId: &k.id}, &out)
			if err == nil {
				o.Policy = versionOf(*out.Policy)
			}
			return err
		}
	case UsePolicy, UseGrant:
		who = "p"
		if o.Kind == UseGrant {
			who = users[c.r.IntN(2)]
		}
		o.User = who
		do = func(kms *client.Client) error {
			return kms.Do(ctx, "Encrypt", &kmsapi.EncryptRequest{KeyId: &k.id, Plaintext: []byte("secret")}, nil)
		}
	default:
		return who, c.grantRequest(ctx, k, o)
	}
	return who, do
}

func (c *caller) grantRequest(ctx context.Context, k *hotKey, o *Op) func(*client.Client) error {
	switch o.Kind {
	case CreateGrant:
		o.Grant, o.User = "g"+k.next(), users[c.r.IntN(2)]
		return func(kms *client.Client) error {
			var out kmsapi.CreateGrantResponse
			err := kms.Do(ctx, "CreateGrant", &kmsapi.CreateGrantRequest{
				KeyId: &k.id, Name: new(o.Grant + "-" + o.User), GranteePrincipal: new(userARN(o.User)), Operations: []string{"Encrypt"},
			}, &out)
			if err == nil {
				k.learn(known{o.Grant, *out.GrantId, o.User})
			}
			return err
		}
	case RevokeGrant:
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.grants) == 0 {
			return nil
		}
		g := k.grants[0] // the same one for all: some of them are too late
		o.Grant, o.User = g.name, g.user
		return func(kms *client.Client) error {
			err := kms.Do(ctx, "RevokeGrant", &kmsapi.RevokeGrantRequest{KeyId: &k.id, GrantId: &g.id}, nil)
			if e, answered := errors.AsType[*apierr.Error](err); err == nil || answered && e.Code == "NotFoundException" {
				k.forget(g.id)
			}
			return err
		}
	}
	return func(kms *client.Client) error {
		var out kmsapi.ListGrantsResponse
		err := kms.Do(ctx, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: &k.id, Limit: new(int32(100))}, &out)
		for _, g := range out.Grants {
			name, user, _ := strings.Cut(*g.Name, "-")
			o.Grants = append(o.Grants, name)
			k.see(known{name, *g.GrantId, user})
		}
		return err
	}
}

// see learns of a grant whose making was not answered. One that was seen to go may be in an old list
// still: whoever revokes it is told.
func (k *hotKey) see(g known) {
	k.mu.Lock()
	fewer := len(k.grants) == 0
	k.mu.Unlock()
	if fewer {
		k.learn(g)
	}
}

// outcome is what an answer means.
func (c *caller) outcome(o Op, err error) Outcome {
	if err == nil {
		return Done
	}
	e, answered := errors.AsType[*apierr.Error](err)
	if !answered {
		return Unknown
	}
	uses := o.Kind == UseGrant || o.Kind == UsePolicy
	switch {
	case e.Code == "AccessDeniedException" && uses:
		return Denied
	case e.Code == "DisabledException" && (uses || o.Kind == CreateGrant):
		return Disabled
	case e.Code == "NotFoundException" && o.Kind == RevokeGrant:
		return NotFound
	case e.Code == "ServiceUnavailable":
		c.refused++
	default:
		c.oddities = append(c.oddities, fmt.Sprintf("%s: %s: %s", o, e.Code, e.Message))
	}
	return Unknown
}

// last reads everything of a key once more.
func (c *caller) last(k *hotKey) {
	for _, kind := range []Kind{ReadState, ReadPolicy, ListGrants, UseGrant, UsePolicy} {
		c.one(k, kind)
	}
}
