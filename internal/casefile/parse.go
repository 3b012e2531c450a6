package casefile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

// Parse reads a line.
func Parse(line []byte) (*Case, error) {
	c := &Case{}
	if err := json.Unmarshal(line, c, json.RejectUnknownMembers(true)); err != nil {
		return nil, plain(err)
	}
	c.complete()
	return c, c.check()
}

// complete fills in what ARNs say: accounts, and the aws:userid of callers that have no id of
// their own. Source: IAM User Guide, "IAM JSON policy elements: Variables", Principal key values.
func (c *Case) complete() {
	p, r := &c.Principal, &c.Resource
	if p.Account == "" && p.Type != "service" {
		p.Account = accountOf(p.ARN)
	}
	if r.Account == "" {
		r.Account = accountOf(r.ARN)
	}
	switch {
	case p.UserID != "":
	case p.Type == "root":
		p.UserID = p.Account
	case p.Type == "federated-user":
		p.UserID = p.Account + ":" + p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
	}
}

// accountOf is the account in an ARN, or "".
func accountOf(s string) string {
	a, err := arn.Parse(s)
	if err != nil || !arn.IsAccount(a.Account) {
		return ""
	}
	return a.Account
}

// plain is an error of the JSON library in fewer words: where in the case, and what is wrong there.
func plain(err error) error {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		what := "has the wrong type"
		if errors.Is(err, json.ErrUnknownName) {
			what = "is no member of a case"
		} else if e.GoType != nil && e.GoType.Kind().String() != "" && e.JSONKind != 0 {
			what = "is " + kinds[e.JSONKind] + ", which it cannot be"
		}
		return fmt.Errorf("%s %s", place(e.JSONPointer), what)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s is there twice", place(e.JSONPointer))
		}
		return fmt.Errorf("not JSON at byte %d: %v", e.ByteOffset+1, e.Err)
	}
	return err
}

var kinds = map[jsontext.Kind]string{
	'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "a list",
}

func place(p jsontext.Pointer) string {
	if p == "" {
		return "the line"
	}
	return string(p)[1:]
}

var principalTypes = map[string]authz.PrincipalType{
	"user": authz.User, "role-session": authz.RoleSession, "federated-user": authz.FederatedUser, "root": authz.Root,
	"service": authz.Service, "anonymous": authz.Anonymous, "unknown": authz.UnknownPrincipal,
}

var accountRoles = map[string]authz.AccountRole{"": authz.NoOrganization, "member": authz.Member, "management": authz.Management}

var decisions = []string{authz.Allowed: "Allow", authz.ExplicitDeny: "ExplicitDeny", authz.ImplicitDeny: "ImplicitDeny", authz.Undetermined: "Undetermined"}

// check refuses what would not mean what it says.
func (c *Case) check() error {
	p, r := &c.Principal, &c.Resource
	_, isType := principalTypes[p.Type]
	_, isRole := accountRoles[p.AccountRole]
	_, isOwnerRole := accountRoles[r.AccountRole]
	named := p.Type == "user" || p.Type == "role-session" || p.Type == "federated-user" || p.Type == "root"
	switch {
	case !isType:
		return fmt.Errorf("principal/type %q is none of user, role-session, federated-user, root, service, anonymous, unknown", p.Type)
	case (named || p.Type == "service") && p.ARN == "":
		return fmt.Errorf("principal/arn is missing")
	case named && !arn.IsAccount(p.Account):
		return fmt.Errorf("principal/account %q is not 12 digits", p.Account)
	case p.Type == "role-session" && p.RoleARN == "":
		return fmt.Errorf("principal/roleArn is missing")
	case !isRole:
		return fmt.Errorf("principal/accountRole %q is neither member nor management", p.AccountRole)
	case !isOwnerRole:
		return fmt.Errorf("resource/accountRole %q is neither member nor management", r.AccountRole)
	case r.Account != "" && !arn.IsAccount(r.Account):
		return fmt.Errorf("resource/account %q is not 12 digits", r.Account)
	case !strings.Contains(c.Action, ":"):
		return fmt.Errorf("action %q has no service", c.Action)
	case r.ARN == "" && !r.Unknown:
		return fmt.Errorf("resource/arn is missing")
	case r.ARN != "" && r.Unknown:
		return fmt.Errorf("resource is unknown and has an ARN")
	case r.KeyManager != "" && r.KeyManager != "AWS" && r.KeyManager != "CUSTOMER":
		return fmt.Errorf("resource/keyManager %q is neither AWS nor CUSTOMER", r.KeyManager)
	case c.Expect != nil && !slices.Contains(decisions, c.Expect.Decision):
		return fmt.Errorf("expect/decision %q is none of Allow, ExplicitDeny, ImplicitDeny, Undetermined", c.Expect.Decision)
	}
	for i, g := range c.Grants {
		if g.GranteePrincipal+g.GranteeServicePrincipal == "" {
			return fmt.Errorf("grants/%d has no grantee", i)
		}
	}
	return nil
}

// A Builder turns cases into requests. It is safe for concurrent use.
type Builder struct {
	docs *authz.Cache
	read func(name string) ([]byte, error) // nil: there are no files
}

// NewBuilder makes a builder, which compiles a document that many cases have only once. Its cases
// cannot refer to files.
func NewBuilder() *Builder { return &Builder{docs: authz.NewCache(4096)} }

// Files is the builder for cases that may refer to files, which read gives by their names.
func (b *Builder) Files(read func(name string) ([]byte, error)) *Builder {
	return &Builder{docs: b.docs, read: read}
}

// Request is what the engine decides on.
func (b *Builder) Request(c *Case) (*authz.Request, error) {
	p := &c.Principal
	l := loader{Builder: b}
	req := &authz.Request{
		Principal: authz.Principal{
			Type: principalTypes[p.Type], ARN: p.ARN, RoleARN: p.RoleARN, ParentARN: p.ParentARN, Account: p.Account,
			UserID: p.UserID, UniqueID: p.uniqueID(), Tags: p.Tags, OrgID: p.Org, OrgPaths: p.OrgPaths, AccountRole: accountRoles[p.AccountRole],
		},
		Identity: l.list("identityPolicies", c.IdentityPolicies, policy.Identity),
		Boundary: l.one("boundary", c.Boundary, policy.Identity),
		SCPs:     l.levels("scps", c.SCPs, policy.SCP), Endpoint: l.one("vpcePolicy", c.VPCEPolicy, policy.Endpoint),
	}
	if p.Type == "user" {
		req.Principal.Username = p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
	}
	if p.SessionPolicies != nil {
		req.Session = l.list("principal/sessionPolicies", p.SessionPolicies, policy.Session)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Context)) {
		l.value(&req.Context, k, c.Context[k])
	}
	part := authz.Part{
		Action: c.Action,
		Resource: authz.Resource{
			ARN: c.Resource.ARN, Account: c.Resource.Account, Tags: authz.TagsOf(c.Resource.Tags), OrgID: c.Resource.Org, OrgPaths: c.Resource.OrgPaths,
			AccountRole: accountRoles[c.Resource.AccountRole], AWSManaged: c.Resource.KeyManager == "AWS", Unknown: c.Resource.Unknown,
		},
		RCPs: l.levels("rcps", c.RCPs, policy.RCP),
	}
	kind, authoritative := c.policyKind()
	part.Authoritative = authoritative
	part.Policy = l.one("resourcePolicy", c.ResourcePolicy, kind)
	c.grants(&part)
	req.Parts = []authz.Part{part}
	return req, l.err
}

// uniqueID is the stable id of the user or role.
func (p *Principal) uniqueID() string {
	id, _, _ := strings.Cut(p.UserID, ":")
	if p.UniqueID == "" && policy.IsUniqueID(id) {
		return id
	}
	return p.UniqueID
}

// policyKind is that of the resource's policy, and whether without it nothing is allowed.
func (c *Case) policyKind() (policy.Kind, bool) {
	a, _ := arn.Parse(c.Resource.ARN)
	service, _, _ := strings.Cut(strings.ToLower(c.Action), ":")
	switch {
	case a.Service == "kms" && a.Type() == "key", c.Resource.Unknown && service == "kms":
		return policy.Key, true
	case service == "sts" && (a.Service == "iam" && a.Type() == "role" || c.Resource.Unknown):
		return policy.Trust, true
	}
	return policy.Resource, false
}

// A loader compiles the documents of a case; err is the first that is none.
type loader struct {
	*Builder
	err error
}

func (l *loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

func (l *loader) one(name string, src jsontext.Value, kind policy.Kind) *authz.Document {
	if len(src) == 0 || src.Kind() == 'n' {
		return nil
	}
	if d, ok := l.unknown(name, src); ok {
		return d
	}
	text := string(src)
	if file, ok := reference(src); ok {
		if l.read == nil {
			l.fail(fmt.Errorf("%s: files cannot be read here", name))
			return nil
		}
		data, err := l.read(file)
		if err != nil {
			l.fail(fmt.Errorf("%s: %w", name, err))
			return nil
		}
		name, text = file, string(data)
	}
	d, err := l.docs.Document(text, kind)
	if err != nil {
		l.fail(fmt.Errorf("%s: %w", name, err))
		return nil
	}
	d.Name = name
	return d
}

// reference reads {"file": ...}.
func reference(src jsontext.Value) (file string, ok bool) {
	if src.Kind() != '{' || !strings.Contains(string(src), `"file"`) {
		return "", false
	}
	var r struct {
		File string `json:"file"`
	}
	if err := json.Unmarshal(src, &r, json.RejectUnknownMembers(true)); err != nil {
		return "", false
	}
	return r.File, r.File != ""
}

// unknown reads {"unknown": true, "name": ...}.
func (l *loader) unknown(name string, src jsontext.Value) (*authz.Document, bool) {
	if src.Kind() != '{' || !strings.Contains(string(src), `"unknown"`) {
		return nil, false
	}
	var u struct {
		Unknown bool   `json:"unknown"`
		Name    string `json:"name"`
	}
	if err := json.Unmarshal(src, &u, json.RejectUnknownMembers(true)); err != nil || !u.Unknown {
		return nil, false
	}
	if u.Name != "" {
		name = u.Name
	}
	return &authz.Document{Name: name, Unknown: true}, true
}

func (l *loader) list(name string, srcs []jsontext.Value, kind policy.Kind) []*authz.Document {
	docs := make([]*authz.Document, 0, len(srcs))
	for i, s := range srcs {
		at := fmt.Sprintf("%s/%d", name, i)
		if d := l.one(at, s, kind); d != nil {
			docs = append(docs, d)
		} else {
			l.fail(fmt.Errorf("%s is null", at))
		}
	}
	return docs
}

func (l *loader) levels(name string, srcs [][]jsontext.Value, kind policy.Kind) [][]*authz.Document {
	var all [][]*authz.Document
	for i, s := range srcs {
		all = append(all, l.list(fmt.Sprintf("%s/%d", name, i), s, kind))
	}
	return all
}

// value adds a condition key: a string, a number or a bool, a list of these, {"unknown": true}, or
// null for a key that is not there.
func (l *loader) value(ctx *authz.Context, key string, v jsontext.Value) {
	wrong := func() {
		l.fail(fmt.Errorf("context/%s is no text, number or bool, list of those, or {\"unknown\": true}", key))
	}
	switch v.Kind() {
	case '[':
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil {
			wrong()
			return
		}
		list := make([]string, len(items))
		for i, item := range items {
			var ok bool
			if list[i], ok = scalar(item); !ok {
				wrong()
			}
		}
		ctx.SetList(key, list)
	case 'n': // not there, even if it would follow from principal or resource
		ctx.SetList(key, nil)
	case '{':
		if _, ok := l.unknown(key, v); !ok {
			wrong()
			return
		}
		ctx.SetUnknown(key)
	default:
		s, ok := scalar(v)
		if !ok {
			wrong()
		}
		ctx.Set(key, s)
	}
}

func scalar(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		return string(s), err == nil
	case 't', 'f', '0':
		return string(v), true
	}
	return "", false
}
