package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A client is somebody with credentials, in a region.
type client struct {
	account string
	url     string
	region  string
	creds   aws.Credentials
	kms     *kms.Client
	iam     *iam.Client
	sts     *sts.Client
	ec2     *ec2.Client
	ebs     *ebs.Client
	asg     *autoscaling.Client
	org     *organizations.Client
	events  *cloudtrail.Client
	judge   *accessanalyzer.Client
}

// attempts is how often clients try. An answer that a client would have to retry is a failure here, but
// for a store in etcd: a node that does not know what happened in the last second, as on a machine that is
// too busy, says 503, and clients retry that.
func attempts() int {
	if os.Getenv(server.StoreEnv) != "" {
		return 6
	}
	return 1
}

// newClient makes the SDK's clients.
func newClient(url, region, account string, creds aws.Credentials) *client {
	cfg := aws.Config{
		Region: region, BaseEndpoint: &url, RetryMaxAttempts: attempts(), HTTPClient: &http.Client{Transport: readOnlyBody{}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
		APIOptions:  []func(*middleware.Stack) error{answered.add},
	}
	return &client{
		account: account, url: url, region: region, creds: creds,
		kms: kms.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg),
		ec2: ec2.NewFromConfig(cfg), ebs: ebs.NewFromConfig(cfg), asg: autoscaling.NewFromConfig(cfg),
		org: organizations.NewFromConfig(cfg), events: cloudtrail.NewFromConfig(cfg), judge: accessanalyzer.NewFromConfig(cfg),
	}
}

// readOnlyBody sends requests without the WriteTo of the SDK's request body. smithy-go closes the
// body as soon as the answer begins, and its WriteTo then fails with io.EOF; if the transport has
// not looked for the body's end yet, as happens with a server this near, it closes the connection
// and the rest of a long answer is lost (seen with smithy-go v1.28.9).
type readOnlyBody struct {
	by http.RoundTripper // nil is the default transport
}

// RoundTrip is that of the transport.
func (b readOnlyBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct {
			io.Reader
			io.Closer
		}{r.Body, r.Body}
	}
	if b.by != nil {
		return b.by.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// rootOf is the root user of an account, adminOf its administrator.
func rootOf(url, account string) *client {
	return newClient(url, seed.Region, account, aws.Credentials{AccessKeyID: account, SecretAccessKey: "test"})
}

func adminOf(url, account string) *client {
	return newClient(url, seed.Region, account, aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"})
}

// in is the same caller in another region.
func (c *client) in(region string) *client { return newClient(c.url, region, c.account, c.creds) }

// admin is the administrator of a fresh account.
func admin(t *testing.T) *client {
	t.Helper()
	t.Parallel()
	return adminOf(shared.URL, seed.NewAccount())
}

// user makes an IAM user with inline policies and gives a client with an access key of it.
func (c *client) user(t *testing.T, name string, policies ...string) *client {
	t.Helper()
	must(c.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}))(t)
	for i, p := range policies {
		c.allow(t, name, "p"+string(rune('0'+i)), p)
	}
	key := must(c.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name}))(t).AccessKey
	return newClient(c.url, c.region, c.account, aws.Credentials{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey})
}

// allow puts an inline policy on a user.
func (c *client) allow(t *testing.T, user, name, policy string) {
	t.Helper()
	must(c.iam.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: &name, PolicyDocument: &policy}))(t)
}

// role makes a role that the account trusts, with inline policies, and gives its ARN and a
// client with a session of it.
func (c *client) role(t *testing.T, name string, policies ...string) (string, *client) {
	t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + seed.Root(c.account) + `"},"Action":"sts:AssumeRole"}]}`
	r := must(c.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}))(t)
	for i, p := range policies {
		must(c.iam.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
			RoleName: &name, PolicyName: new("p" + string(rune('0'+i))), PolicyDocument: &p,
		}))(t)
	}
	s := must(c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: r.Role.Arn, RoleSessionName: new("e2e")}))(t).Credentials
	return *r.Role.Arn, newClient(c.url, c.region, c.account, aws.Credentials{
		AccessKeyID: *s.AccessKeyId, SecretAccessKey: *s.SecretAccessKey, SessionToken: *s.SessionToken,
	})
}

// serviceRole makes Auto Scaling's service-linked role.
func (c *client) serviceRole(t *testing.T) {
	t.Helper()
	must(c.iam.CreateServiceLinkedRole(t.Context(), &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com")}))(t)
}

// arn is who the caller is.
func (c *client) arn(t *testing.T) string {
	t.Helper()
	return *must(c.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t).Arn
}

// must ends the test if a call failed. It is called as must(call)(t).
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused is must for a call that has to fail with a code and texts in its message.
func refused[T any](_ T, err error) func(t *testing.T, code string, texts ...string) smithy.APIError {
	return func(t *testing.T, code string, texts ...string) smithy.APIError {
		t.Helper()
		e, ok := errors.AsType[smithy.APIError](err)
		if !ok {
			t.Fatalf("want an error %s, got %v", code, err)
		}
		if e.ErrorCode() != code {
			t.Errorf("error code is %q, want %q (message: %s)", e.ErrorCode(), code, e.ErrorMessage())
		}
		for _, text := range texts {
			if !strings.Contains(e.ErrorMessage(), text) {
				t.Errorf("message of %s is %q, it does not contain %q", e.ErrorCode(), e.ErrorMessage(), text)
			}
		}
		return e
	}
}

// patience is how long something may take that takes seconds; the machine may be busy and the
// server is race-built.
const patience = 120 * time.Second

// eventually asks until done, and fails with the last state otherwise.
func eventually(t *testing.T, what string, ask func() (done bool, state string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		done, state := ask()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last seen: %s", what, patience, state)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(150 * time.Millisecond):
		}
	}
}

// An authorization is a decision as the kagimori service tells it.
type authorization struct {
	AuthorizationId, EventSource, EventName, Principal, ErrorCode, ErrorMessage string
	Evaluations                                                                 []evaluation
}

type evaluation struct {
	Action, Resource, EvaluatedEffect, DecidedBy string
	CrossAccount                                 bool
	MatchedStatements                            []statement
	Explanation                                  []string
	Layers                                       []layer
	Fixes                                        []struct{ Kind, Name, Owner, Summary, Document, Command string }
}

type layer struct {
	PolicyType, State string
	Statements        []layerStatement
}

type layerStatement struct {
	Policy, Sid, EvaluatedEffect, Reason string
	Applies, Nearly                      bool
	Condition                            *failedCondition
}

type failedCondition struct {
	Operator, Key    string
	Expected, Actual []string
	Present, Hidden  bool
}

// layer is what an evaluation tells of a kind of policy.
func (e *evaluation) layer(t *testing.T, policyType string) layer {
	t.Helper()
	i := slices.IndexFunc(e.Layers, func(l layer) bool { return l.PolicyType == policyType })
	if i < 0 {
		t.Fatalf("no layer %s in %+v", policyType, e.Layers)
	}
	return e.Layers[i]
}

// missed is the statement of a layer, by its Sid, that does not apply.
func (l layer) missed(t *testing.T, sid string) layerStatement {
	t.Helper()
	i := slices.IndexFunc(l.Statements, func(s layerStatement) bool { return s.Sid == sid })
	if i < 0 {
		t.Fatalf("no statement %q in %+v", sid, l)
	}
	if l.Statements[i].Applies {
		t.Errorf("the statement %q applies: %+v", sid, l)
	}
	return l.Statements[i]
}

// sets are the names of an evaluation's fixes, each once, with the kinds of fixes in them.
func (e *evaluation) sets() map[string][]string {
	out := map[string][]string{}
	for _, f := range e.Fixes {
		if f.Name != "" && !slices.Contains(out[f.Name], f.Kind) {
			out[f.Name] = append(out[f.Name], f.Kind)
		}
	}
	return out
}

// wantSets checks that the sets least and documented are there and that they change no more than the
// given kind of thing.
func (e *evaluation) wantSets(t *testing.T, kind string) {
	t.Helper()
	sets := e.sets()
	for _, name := range []string{"least", "documented"} {
		if got := sets[name]; !slices.Equal(got, []string{kind}) {
			t.Errorf("the fixes %q are %v, want %s", name, got, kind)
		}
	}
}

type statement struct{ PolicyType, Policy, Sid, EvaluatedEffect, GrantId string }

// because checks that an action on a key was allowed on the way to a resource, and that the
// statement or grant of that type, sid and id was what allowed it.
func (c *client) because(t *testing.T, resource, action, key string, want statement) {
	t.Helper()
	found := 0
	for _, a := range c.explain(t, resource) {
		for _, e := range a.Evaluations {
			if e.Action != action || e.Resource != key {
				continue
			}
			found++
			if e.EvaluatedEffect != "ALLOW" || !slices.ContainsFunc(e.MatchedStatements, func(s statement) bool {
				return s.PolicyType == want.PolicyType && (want.Sid == "" || s.Sid == want.Sid) && s.GrantId == want.GrantId
			}) {
				t.Errorf("%s is explained by %+v, want %+v: %s", action, e.MatchedStatements, want, a.text())
			}
		}
	}
	if found == 0 {
		t.Errorf("the explanation of %s does not tell of %s on %s", resource, action, key)
	}
}

// text is everything that an authorization says.
func (a authorization) text() string {
	data, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		panic(err) // strings always encode
	}
	// Documents are JSON within JSON.
	return strings.NewReplacer(`\"`, `"`, `\n`, "\n", `\u003c`, "<", `\u003e`, ">").Replace(string(data))
}

// kagimori calls an operation of the kagimori service that has one text as its input, signed as the
// caller.
func (c *client) kagimori(t *testing.T, operation string, in map[string]string, out any) (status int, body []byte) {
	t.Helper()
	path := map[string]string{
		"GetAuthorizationDetails":        "/authorizations/" + url.PathEscape(in["AuthorizationId"]),
		"GetRequestAuthorizationDetails": "/authorization-details/" + url.PathEscape(in["authorizationId"]),
		"ExplainResource":                "/explanation?ResourceId=" + url.QueryEscape(in["ResourceId"]),
	}[operation]
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil))(t)
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), c.creds, req, hex.EncodeToString(sum[:]), "kagimori", c.region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res := must(http.DefaultClient.Do(req))(t)
	defer res.Body.Close()
	body = must(io.ReadAll(res.Body))(t)
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, out); err != nil {
			t.Fatalf("%s: %v in %s", operation, err, body)
		}
	}
	return res.StatusCode, body
}

// explain tells the decisions behind a resource's fate.
func (c *client) explain(t *testing.T, resource string) []authorization {
	t.Helper()
	var out struct{ Authorizations []authorization }
	if status, body := c.kagimori(t, "ExplainResource", map[string]string{"ResourceId": resource}, &out); status != http.StatusOK {
		t.Fatalf("ExplainResource of %s: %d %s", resource, status, body)
	}
	return out.Authorizations
}

// why is the refusal behind a resource's fate; there has to be one. What EC2 only asked about is
// none.
func (c *client) why(t *testing.T, resource string) authorization {
	t.Helper()
	all := c.explain(t, resource)
	for _, a := range all {
		if a.ErrorCode != "" && a.ErrorCode != "DryRunOperationException" {
			return a
		}
	}
	t.Fatalf("the explanation of %s names no refusal: %+v", resource, all)
	return authorization{}
}

// denied checks that an authorization is a refusal of an action on a key to a principal, and
// that its text names more.
func (a authorization) denied(t *testing.T, principal, action, key string, texts ...string) {
	t.Helper()
	if a.Principal != principal {
		t.Errorf("the refused principal is %q, want %q", a.Principal, principal)
	}
	if a.ErrorCode != "AccessDeniedException" {
		t.Errorf("the refusal's code is %q, want AccessDeniedException", a.ErrorCode)
	}
	found := false
	for _, e := range a.Evaluations {
		if e.EvaluatedEffect != "ALLOW" && e.Action == action && e.Resource == key {
			found = true
		}
	}
	if !found {
		t.Errorf("no evaluation denies %s on %s", action, key)
	}
	for _, text := range texts {
		if !strings.Contains(a.text(), text) {
			t.Errorf("the explanation does not contain %q", text)
		}
	}
	if t.Failed() {
		t.Logf("explanation: %s", a.text())
	}
}

// details are the decisions of a refused request, by its id.
func (c *client) details(t *testing.T, err error) authorization {
	t.Helper()
	res, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || res.ServiceRequestID() == "" {
		t.Fatalf("the refusal has no request id: %v", err)
	}
	return c.request(t, res.ServiceRequestID())[0]
}

// request are the decisions of a request, at least one.
func (c *client) request(t *testing.T, id string) []authorization {
	t.Helper()
	var out struct{ Authorizations []authorization }
	status, body := c.kagimori(t, "GetAuthorizationDetails", map[string]string{"AuthorizationId": id}, &out)
	if status != http.StatusOK || len(out.Authorizations) == 0 {
		t.Fatalf("GetAuthorizationDetails of %s: %d %s", id, status, body)
	}
	return out.Authorizations
}
