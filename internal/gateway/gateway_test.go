package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/gateway"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	keySecret = "not-a-real-secret"
)

// people is a credentials store of one user; other keys show each failure of a lookup.
type people struct{}

func (people) Lookup(_ context.Context, id, token string) (secret.String, directory.Identity, error) {
	switch id {
	case accessKey:
		return keySecret, directory.Identity{AccessKeyID: id}, nil
	case "ASIATOKEN":
		if token != "good" {
			return "", directory.Identity{}, directory.ErrInvalidToken
		}
		return keySecret, directory.Identity{AccessKeyID: id, Session: &directory.Session{Name: "s"}}, nil
	case "ASIAEXPIRED":
		return "", directory.Identity{}, directory.ErrExpiredToken
	case "AKIABROKEN":
		return "", directory.Identity{}, errors.New("disk on fire")
	}
	return "", directory.Identity{}, directory.ErrUnknownAccessKey
}

// world is a gateway with fake services behind it.
type world struct {
	*httptest.Server
	handler http.Handler
	log     bytes.Buffer
	last    *guard.Call // of the last invocation
	invoked int
}

var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func newWorld(t testing.TB, change func(*gateway.Config)) *world {
	t.Helper()
	w := &world{}
	cfg := gateway.Config{
		Services: []gateway.Service{
			{API: kmsapi.Service(), Ops: map[string]guard.Handler{
				"DescribeKey": guard.Handle(describeKey), "EnableKey": guard.HandleVoid(enableKey),
				"GenerateDataKey": guard.Handle(generateDataKey),
			}},
			{API: iamapi.Service(), Ops: map[string]guard.Handler{"GetRole": guard.Handle(getRole)}},
			{API: stsapi.Service(), Ops: map[string]guard.Handler{"GetCallerIdentity": guard.Handle(whoAmI)}},
			{API: ec2api.Service(), Ops: map[string]guard.Handler{"DescribeVolumes": guard.Handle(describeVolumes)}},
			{API: autoscalingapi.Service()},
			{API: kagimoriapi.Service()},
			{API: ebsapi.Service(), Ops: map[string]guard.Handler{"PutSnapshotBlock": guard.Handle(putBlock), "StartSnapshot": guard.Handle(startSnapshot)}},
		},
		Verifier:    newVerifier(),
		Credentials: people{},
		Clock:       func() time.Time { return epoch },
		Logger:      slog.New(slog.NewTextHandler(&w.log, nil)),
		Invoke: func(ctx context.Context, c *guard.Call, in any, h guard.Handler) (any, error) {
			kept := *c // the next request has c then
			w.last = &kept
			w.invoked++
			return h(ctx, c, in)
		},
	}
	if change != nil {
		change(&cfg)
	}
	h, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.handler, w.Server = h, httptest.NewServer(h)
	t.Cleanup(w.Close)
	return w
}

func describeKey(_ context.Context, _ *guard.Call, in *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	switch *in.KeyId {
	case "missing":
		return nil, apierr.New("NotFoundException", "Key 'missing' does not exist")
	case "denied":
		return nil, apierr.New("AccessDeniedException", "User: x is not authorized")
	case "broken":
		return nil, errors.New("the store says no")
	case "panic":
		var none []int
		none[len(*in.KeyId)]++
	case "panic-text":
		panic("plaintext: hunter2")
	}
	return &kmsapi.DescribeKeyResponse{KeyMetadata: &kmsapi.KeyMetadata{KeyId: in.KeyId}}, nil
}

func enableKey(context.Context, *guard.Call, *kmsapi.EnableKeyRequest) error { return nil }

func generateDataKey(_ context.Context, _ *guard.Call, in *kmsapi.GenerateDataKeyRequest) (*kmsapi.GenerateDataKeyResponse, error) {
	return &kmsapi.GenerateDataKeyResponse{KeyId: in.KeyId, Plaintext: make([]byte, 32), CiphertextBlob: make([]byte, 204)}, nil
}

func getRole(_ context.Context, _ *guard.Call, in *iamapi.GetRoleRequest) (*iamapi.GetRoleResponse, error) {
	if *in.RoleName == "missing" {
		return nil, apierr.New("NoSuchEntity", "The role with name missing cannot be found.")
	}
	return &iamapi.GetRoleResponse{Role: &iamapi.Role{RoleName: in.RoleName}}, nil
}

func whoAmI(_ context.Context, c *guard.Call, _ *stsapi.GetCallerIdentityRequest) (*stsapi.GetCallerIdentityResponse, error) {
	return &stsapi.GetCallerIdentityResponse{UserId: &c.Caller.AccessKeyID}, nil
}

func describeVolumes(_ context.Context, _ *guard.Call, in *ec2api.DescribeVolumesRequest) (*ec2api.DescribeVolumesResult, error) {
	if len(in.VolumeIds) > 0 {
		return nil, apierr.New("InvalidVolume.NotFound", "The volume does not exist.")
	}
	return &ec2api.DescribeVolumesResult{Volumes: []ec2api.Volume{}}, nil
}

func credentials() sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: accessKey, Secret: keySecret}
}

func (w *world) do(t testing.TB, svc *api.Service, creds sigv4.Credentials, op string, in, out any) error {
	t.Helper()
	c, err := client.New(w.URL, "eu-west-1", creds, svc)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t.Context(), op, in, out)
}

// A service whose target has a namespace is found without it too: AWS's SDK for Go names
// CloudTrail so, botocore writes the namespace.
func TestATargetMayLeaveItsNamespaceOut(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) {
		cfg.Services = append(cfg.Services, gateway.Service{API: cloudtrailapi.Service(), Ops: map[string]guard.Handler{
			"LookupEvents": guard.Handle(func(context.Context, *guard.Call, *cloudtrailapi.LookupEventsRequest) (*cloudtrailapi.LookupEventsResponse, error) {
				return &cloudtrailapi.LookupEventsResponse{NextToken: new("n")}, nil
			}),
		}})
	})
	for _, prefix := range []string{"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"} {
		svc := *cloudtrailapi.Service()
		svc.TargetPrefix = prefix
		var out cloudtrailapi.LookupEventsResponse
		if err := w.do(t, &svc, credentials(), "LookupEvents", &cloudtrailapi.LookupEventsRequest{}, &out); err != nil || api.Val(out.NextToken) != "n" || w.last.Operation != "LookupEvents" {
			t.Errorf("%s: %v, %+v", prefix, err, out)
		}
	}
}

func TestCalls(t *testing.T) {
	w := newWorld(t, nil)
	var key kmsapi.DescribeKeyResponse
	if err := w.do(t, kmsapi.Service(), credentials(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: new("k")}, &key); err != nil || *key.KeyMetadata.KeyId != "k" {
		t.Errorf("DescribeKey: %v", err)
	}
	c := w.last
	if c.Service != "kms" || c.Operation != "DescribeKey" || c.Region != "eu-west-1" || !c.ReadOnly || c.Time != epoch ||
		c.Caller.AccessKeyID != accessKey || c.Caller.SourceIP != "127.0.0.1" || c.Caller.UserAgent != "Go-http-client/1.1" || c.Caller.Secure {
		t.Errorf("call is %+v", c)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(c.ID) {
		t.Errorf("request id %s", c.ID)
	}
	if d := cmp.Diff(&kmsapi.DescribeKeyRequest{KeyId: new("k")}, c.Input); d != "" {
		t.Error(d)
	}
	if err := w.do(t, kmsapi.Service(), credentials(), "EnableKey", &kmsapi.EnableKeyRequest{KeyId: new("k")}, nil); err != nil {
		t.Errorf("EnableKey: %v", err)
	}
	var role iamapi.GetRoleResponse
	if err := w.do(t, iamapi.Service(), credentials(), "GetRole", &iamapi.GetRoleRequest{RoleName: new("r")}, &role); err != nil || *role.Role.RoleName != "r" {
		t.Errorf("GetRole: %v", err)
	}
	if w.last.Region != "us-east-1" {
		t.Errorf("IAM was called in %s", w.last.Region)
	}
	var me stsapi.GetCallerIdentityResponse
	session := sigv4.Credentials{AccessKeyID: "ASIATOKEN", Secret: keySecret, SessionToken: "good"}
	if err := w.do(t, stsapi.Service(), session, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{}, &me); err != nil || *me.UserId != "ASIATOKEN" {
		t.Errorf("GetCallerIdentity: %v", err)
	}
	if w.last.Caller.Session == nil {
		t.Error("the session was lost")
	}
	volumes := ec2api.DescribeVolumesResult{}
	if err := w.do(t, ec2api.Service(), credentials(), "DescribeVolumes", &ec2api.DescribeVolumesRequest{}, &volumes); err != nil || volumes.Volumes == nil {
		t.Errorf("DescribeVolumes: %v", err)
	}
}

func TestFailures(t *testing.T) {
	w := newWorld(t, nil)
	kms, iam, ec2, asg := kmsapi.Service(), iamapi.Service(), ec2api.Service(), autoscalingapi.Service()
	describe := func(id string) any { return &kmsapi.DescribeKeyRequest{KeyId: &id} }
	key := func(id string) sigv4.Credentials { return sigv4.Credentials{AccessKeyID: id, Secret: keySecret} }
	for _, tt := range []struct {
		name    string
		svc     *api.Service
		creds   sigv4.Credentials
		op      string
		in      any
		code    string
		status  int
		message string // beginning
	}{
		{"service error", kms, credentials(), "DescribeKey", describe("missing"), "NotFoundException", 400, "Key 'missing' does not exist"},
		{"denial", kms, credentials(), "DescribeKey", describe("denied"), "AccessDeniedException", 400, "User: x"},
		{"internal", kms, credentials(), "DescribeKey", describe("broken"), "KMSInternalException", 500, "An internal error has occurred. Request id: "},
		{"panic", kms, credentials(), "DescribeKey", describe("panic"), "KMSInternalException", 500, "An internal error has occurred. Request id: "},
		{"constraint", kms, credentials(), "DescribeKey", describe(""), "ValidationException", 400, "1 validation error detected: Value '' at 'keyId'"},
		{"no handler", kms, credentials(), "CreateKey", &kmsapi.CreateKeyRequest{}, "UnknownOperationException", 400, "kagimori does not implement CreateKey yet."},
		{"unknown key id", kms, key("AKIANOBODY"), "DescribeKey", describe("k"), "UnrecognizedClientException", 400, "The security token included in the request is invalid"},
		{"bad secret", kms, sigv4.Credentials{AccessKeyID: accessKey, Secret: "x"}, "DescribeKey", describe("k"), "InvalidSignatureException", 400, "The request signature we calculated does not match"},
		{"bad token", kms, sigv4.Credentials{AccessKeyID: "ASIATOKEN", Secret: keySecret, SessionToken: "bad"}, "DescribeKey", describe("k"), "UnrecognizedClientException", 400, "The security token included in the request is invalid"},
		{"expired", kms, sigv4.Credentials{AccessKeyID: "ASIAEXPIRED", Secret: keySecret, SessionToken: "t"}, "DescribeKey", describe("k"), "ExpiredTokenException", 400, "The security token included in the request is expired"},
		{"lookup fails", kms, key("AKIABROKEN"), "DescribeKey", describe("k"), "KMSInternalException", 500, "An internal error has occurred. Request id: "},
		{"iam error", iam, credentials(), "GetRole", &iamapi.GetRoleRequest{RoleName: new("missing")}, "NoSuchEntity", 404, "The role with name missing cannot be found."},
		{"iam constraint", iam, credentials(), "GetRole", &iamapi.GetRoleRequest{}, "ValidationError", 400, "1 validation error detected: Value null at 'roleName'"},
		{"iam unknown key", iam, key("AKIANOBODY"), "GetRole", &iamapi.GetRoleRequest{RoleName: new("r")}, "InvalidClientTokenId", 403, "The security token included in the request is invalid"},
		{"no handlers at all", asg, credentials(), "DescribeTags", &autoscalingapi.DescribeTagsType{}, "InvalidAction", 400, "kagimori does not implement DescribeTags yet."},
		{"ec2 error", ec2, credentials(), "DescribeVolumes", &ec2api.DescribeVolumesRequest{VolumeIds: []string{"vol-1"}}, "InvalidVolume.NotFound", 400, "The volume does not exist."},
		{"ec2 unknown key", ec2, key("AKIANOBODY"), "DescribeVolumes", &ec2api.DescribeVolumesRequest{}, "AuthFailure", 401, "AWS was not able to validate the provided access credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := w.do(t, tt.svc, tt.creds, tt.op, tt.in, nil)
			e, _ := err.(*apierr.Error)
			if e == nil || e.Code != tt.code || e.Status != tt.status || !strings.HasPrefix(e.Message, tt.message) {
				t.Errorf("got %#v", err)
			}
		})
	}
	for _, want := range []string{"the store says no", "disk on fire", "index out of range"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(w.log.String(), keySecret) {
		t.Error("the log holds a secret")
	}
}

func TestPanicValuesAreNotLogged(t *testing.T) {
	w := newWorld(t, nil)
	for range 2 { // the server survives
		err := w.do(t, kmsapi.Service(), credentials(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: new("panic-text")}, nil)
		if apierr.Code(err) != "KMSInternalException" {
			t.Errorf("got %v", err)
		}
	}
	if log := w.log.String(); strings.Contains(log, "hunter2") || !strings.Contains(log, "describeKey") {
		t.Errorf("log: %s", log)
	}
}

// send makes a raw request and returns the status, the content type and the body.
func send(t *testing.T, w *world, r *http.Request) (int, string, string) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if id := res.Header.Get("x-amzn-RequestId"); len(id) != 36 {
		t.Errorf("request id %q", id)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a CORS header")
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(body)
}

const form = "application/x-www-form-urlencoded"

func TestRouting(t *testing.T) {
	w := newWorld(t, nil)
	const (
		json11  = "application/x-amz-json-1.1"
		iamAuth = "AWS4-HMAC-SHA256 Credential=A/20260304/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"
		ec2Auth = "AWS4-HMAC-SHA256 Credential=A/20260304/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0"
	)
	for _, tt := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		contentType, want        string
	}{
		{"unsigned json", "POST", "/", "{}", http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}, "Content-Type": {json11}},
			400, json11, `"__type":"MissingAuthenticationTokenException"`},
		{"unsigned query", "POST", "/", "Action=GetRole&Version=2010-05-08", http.Header{"Content-Type": {form}}, 403, "text/xml", "<Code>MissingAuthenticationToken</Code>"},
		{"unsigned ec2", "POST", "/", "Action=DescribeVolumes&Version=2016-11-15", http.Header{"Content-Type": {form}}, 0, "text/xml;charset=UTF-8", "<Response><Errors><Error><Code>"},
		{"unsigned get", "GET", "/?Action=GetRole&Version=2010-05-08&RoleName=r", "", nil, 403, "text/xml", "<Code>MissingAuthenticationToken</Code>"},
		{"known operation", "POST", "/", "{}", http.Header{"X-Amz-Target": {"TrentService.Sign"}, "Content-Type": {json11}},
			400, json11, `{"__type":"UnknownOperationException","message":"kagimori does not implement Sign yet."}`},
		{"unknown operation", "POST", "/", "{}", http.Header{"X-Amz-Target": {"TrentService.Fly"}, "Content-Type": {json11}},
			400, json11, `{"__type":"UnknownOperationException","message":"The operation Fly is not known."}`},
		{"no operation", "POST", "/", "{}", http.Header{"X-Amz-Target": {"TrentService"}, "Content-Type": {json11}}, 400, json11, `UnknownOperationException`},
		{"unknown service", "POST", "/", "{}", http.Header{"X-Amz-Target": {"DynamoDB_20120810.ListTables"}, "Content-Type": {"application/x-amz-json-1.0"}},
			400, json11, `kagimori does not offer the service of DynamoDB_20120810.ListTables.`},
		{"no target", "POST", "/", "{}", http.Header{"Content-Type": {json11}}, 400, json11, "UnknownOperationException"},
		{"json with the wrong type", "POST", "/", "{}", http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}, "Content-Type": {"text/plain"}}, 400, json11, "The content type of a request must be"},
		{"json by get", "GET", "/", "", http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}}, 405, json11, "UnknownOperationException"},
		{"known action", "POST", "/", "Action=CreateGroup&Version=2010-05-08", http.Header{"Content-Type": {form}}, 400, "text/xml", "<Message>kagimori does not implement CreateGroup yet.</Message>"},
		{"unknown action", "POST", "/", "Action=Fly&Version=2010-05-08", http.Header{"Content-Type": {form + "; charset=utf-8"}},
			400, "text/xml", `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Fly for version 2010-05-08</Message></Error><RequestId>`},
		{"unknown ec2 action", "POST", "/", "Action=Fly&Version=2016-11-15", http.Header{"Content-Type": {form}},
			400, "text/xml;charset=UTF-8", "<Response><Errors><Error><Code>InvalidAction</Code><Message>The action Fly is not valid for this web service.</Message></Error></Errors><RequestID>"},
		{"unknown version", "POST", "/", "Action=Fly&Version=1999-01-01", http.Header{"Content-Type": {form}}, 400, "text/xml", "<Code>InvalidAction</Code><Message>kagimori does not offer Fly of version 1999-01-01.</Message>"},
		{"earlier version of EC2", "POST", "/", "Action=Fly&Version=2012-07-20", http.Header{"Content-Type": {form}, "Authorization": {ec2Auth}}, 400, "text/xml;charset=UTF-8", "The action Fly is not valid"},
		{"later version of EC2", "POST", "/", "Action=Fly&Version=2026-11-15", http.Header{"Content-Type": {form}, "Authorization": {ec2Auth}}, 400, "text/xml", "kagimori does not offer Fly of version 2026-11-15."},
		{"no version of EC2", "POST", "/", "Action=Fly&Version=2012", http.Header{"Content-Type": {form}, "Authorization": {ec2Auth}}, 400, "text/xml", "kagimori does not offer Fly of version 2012."},
		{"earlier version of IAM", "POST", "/", "Action=Fly&Version=2009-01-01", http.Header{"Content-Type": {form}, "Authorization": {iamAuth}}, 400, "text/xml", "<Message>Could not find operation Fly for version 2009-01-01</Message>"},
		{"no version", "POST", "/", "Action=Fly", http.Header{"Content-Type": {form}, "Authorization": {iamAuth}}, 400, "text/xml", "<Message>Could not find operation Fly for version 2010-05-08</Message>"},
		{"no action", "POST", "/", "Version=2010-05-08", http.Header{"Content-Type": {form}, "Authorization": {ec2Auth}}, 400, "text/xml;charset=UTF-8", "<Response><Errors><Error><Code>MissingAction</Code>"},
		{"nothing", "GET", "/", "", nil, 400, "text/xml", "<Code>MissingAction</Code>"},
		{"other content type", "POST", "/", "<x/>", http.Header{"Content-Type": {"text/xml"}}, 400, "text/xml", "<Code>MalformedQueryString</Code>"},
		{"method", "PUT", "/", "", nil, 405, "text/xml", "<Code>InvalidAction</Code>"},
		{"preflight", "OPTIONS", "/", "", nil, 405, "text/xml", "<Code>InvalidAction</Code>"},
		{"head", "HEAD", "/", "", nil, 405, "text/xml", ""},
		{"another service with paths", "GET", "/clusters/c", "", http.Header{"Authorization": {strings.Replace(iamAuth, "/iam/", "/eks/", 1)}}, 404, "application/json", `{"message":"kagimori does not offer the service eks."}`},
		{"another service with paths, in XML", "GET", "/bucket", "", http.Header{"Authorization": {strings.Replace(iamAuth, "/iam/", "/s3/", 1)}}, 404, "text/xml", "kagimori does not offer the service s3."},
		{"path", "POST", "/nothing", "", nil, 404, "text/xml", "<Code>InvalidAction</Code>"},
		{"cbor", "POST", "/service/TrentService/operation/DescribeKey", "\xa0", http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}, "Content-Type": {"application/cbor"}},
			404, json11, "kagimori does not speak the protocol rpc-v2-cbor."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, w.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != nil {
				r.Header = tt.header
			}
			status, contentType, body := send(t, w, r)
			if tt.status != 0 && status != tt.status || status < 400 || status >= 500 || contentType != tt.contentType || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s\n%s", status, contentType, body)
			}
		})
	}
	if w.invoked != 0 {
		t.Errorf("%d calls were served", w.invoked)
	}
}

func TestScope(t *testing.T) {
	w := newWorld(t, nil)
	for _, tt := range []struct{ region, service, code, message string }{
		{"eu-west-1", "kms", "", ""},
		{"ap-southeast-1", "kms", "", ""},
		{"eu-west-1", "iam", "InvalidSignatureException", "Credential should be scoped to correct service: 'kms'."},
		{"moon", "kms", "InvalidSignatureException", "Credential should be scoped to a valid region."},
		{"cn-north-1", "kms", "InvalidSignatureException", "Credential should be scoped to a valid region."},
		{"us-gov-west-1", "kms", "InvalidSignatureException", "Credential should be scoped to a valid region."},
		{"us-iso-east-1", "kms", "InvalidSignatureException", "Credential should be scoped to a valid region."},
		{"eu-west-11", "kms", "InvalidSignatureException", "Credential should be scoped to a valid region."},
	} {
		body := []byte(`{"KeyId":"k"}`)
		r, err := http.NewRequest(http.MethodPost, w.URL+"/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Amz-Target": {"TrentService.DescribeKey"}, "Content-Type": {"application/x-amz-json-1.1"}}
		sigv4.Sign(r, body, credentials(), tt.region, tt.service, time.Now())
		status, _, answer := send(t, w, r)
		if (status == 200) != (tt.code == "") || !strings.Contains(answer, tt.code) || !strings.Contains(answer, tt.message) {
			t.Errorf("%s/%s: %d %s", tt.region, tt.service, status, answer)
		}
	}
}

func TestSignedGet(t *testing.T) {
	w := newWorld(t, nil)
	r, err := http.NewRequest(http.MethodGet, w.URL+"/?Action=GetRole&RoleName=a%2Bb&Version=2010-05-08", nil)
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Sign(r, nil, credentials(), "us-east-1", "iam", time.Now())
	if status, _, body := send(t, w, r); status != 200 || !strings.Contains(body, "<RoleName>a+b</RoleName>") {
		t.Errorf("%d %s", status, body)
	}
}

// Clients that join an endpoint and a path send two slashes; what was signed is one.
func TestSeveralSlashes(t *testing.T) {
	w := newWorld(t, nil)
	for _, paths := range [][2]string{{"/", "//"}, {"//", "//"}, {"/", "///"}, {"//", "/"}} {
		body := []byte("Action=GetCallerIdentity&Version=2011-06-15")
		r, err := http.NewRequest(http.MethodPost, w.URL+paths[0], bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form)
		sigv4.Sign(r, body, credentials(), "us-east-1", "sts", time.Now())
		r.URL.Path = paths[1]
		if status, _, answer := send(t, w, r); status != 200 || !strings.Contains(answer, "<UserId>"+accessKey) {
			t.Errorf("signed %s, sent %s: %d %s", paths[0], paths[1], status, answer)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.MaxBody = 100 })
	for _, chunked := range []bool{false, true} {
		var body io.Reader = strings.NewReader(strings.Repeat("x", 101))
		if chunked {
			body = io.MultiReader(body)
		}
		r, err := http.NewRequest(http.MethodPost, w.URL+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "TrentService.DescribeKey")
		if status, _, answer := send(t, w, r); status != 413 || !strings.Contains(answer, "RequestEntityTooLargeException") {
			t.Errorf("chunked %t: %d %s", chunked, status, answer)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, services := range map[string][]gateway.Service{
		"unknown operation": {{API: kmsapi.Service(), Ops: map[string]guard.Handler{"Fly": nil}}},
		"same service":      {{API: kmsapi.Service()}, {API: kmsapi.Service()}},
		"no protocol":       {{API: &api.Service{Name: "x"}}},
		"bad model":         {{API: &api.Service{Name: "x", Protocol: api.EC2, Constraints: map[string]*api.Constraint{"a": {Pattern: "("}}}}},
	} {
		if _, err := gateway.New(gateway.Config{Services: services}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHandlerWithoutInvoke(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Invoke, c.Clock, c.Logger = nil, nil, nil })
	if err := w.do(t, kmsapi.Service(), credentials(), "EnableKey", &kmsapi.EnableKeyRequest{KeyId: new("k")}, nil); err != nil {
		t.Error(err)
	}
}

func BenchmarkGenerateDataKey(b *testing.B) {
	w := newWorld(b, func(c *gateway.Config) { c.Invoke = nil })
	body := []byte(`{"KeyId":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab","KeySpec":"AES_256","EncryptionContext":{"aws:ebs:id":"vol-1"}}`)
	template := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	template.Header.Set("X-Amz-Target", "TrentService.GenerateDataKey")
	template.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sigv4.Sign(template, body, credentials(), "eu-west-1", "kms", time.Now())
	b.ReportAllocs()
	for b.Loop() {
		r := *template
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, &r)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Body)
		}
	}
}
