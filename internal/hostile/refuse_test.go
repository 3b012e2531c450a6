package hostile_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/trail"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// unsigned are the operations that AWS's models mark as such: what they carry proves who asks.
// Sources: STS API Reference, AssumeRoleWithSAML and AssumeRoleWithWebIdentity.
var unsigned = []string{"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"}

// each calls fn for every operation of every service that is signed.
func each(fn func(s offered, op *api.Operation)) {
	for _, s := range services() {
		for _, op := range s.Operations {
			if !op.Unsigned {
				fn(s, op)
			}
		}
	}
}

// Nothing that is offered is missing from these tests, and no other operation than those that the models
// say goes without a signature.
func TestEveryOperationIsKnownHere(t *testing.T) {
	var here, there, without []string
	n := 0
	for _, s := range services() {
		here = append(here, strings.ReplaceAll(s.Name, "-", "")+"api")
		for name, op := range s.Operations {
			n++
			if op.Unsigned {
				without = append(without, s.Name+":"+name)
			}
		}
	}
	dirs, err := filepath.Glob("../api/*api")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if i, err := os.Stat(d); err == nil && i.IsDir() {
			there = append(there, filepath.Base(d))
		}
	}
	slices.Sort(here)
	slices.Sort(there)
	if !slices.Equal(here, there) {
		t.Errorf("services here: %v, in the tables: %v", here, there)
	}
	slices.Sort(without)
	if !slices.Equal(without, unsigned) {
		t.Errorf("without a signature: %v, want %v", without, unsigned)
	}
	if n < 500 {
		t.Errorf("only %d operations", n)
	}
}

// An answer is an error code and its HTTP status.
type answer struct {
	code   string
	status int
}

// answers are those of the four protocols.
type answers map[api.Protocol]answer

var (
	missing = answers{
		api.JSON11: {"MissingAuthenticationTokenException", 400}, api.RESTJSON: {"MissingAuthenticationTokenException", 403},
		api.Query: {"MissingAuthenticationToken", 403}, api.EC2: {"MissingAuthenticationToken", 403},
	}
	wrong = answers{
		api.JSON11: {"InvalidSignatureException", 400}, api.RESTJSON: {"InvalidSignatureException", 403},
		api.Query: {"SignatureDoesNotMatch", 403}, api.EC2: {"AuthFailure", 401},
	}
	unknown = answers{
		api.JSON11: {"UnrecognizedClientException", 400}, api.RESTJSON: {"UnrecognizedClientException", 403},
		api.Query: {"InvalidClientTokenId", 403}, api.EC2: {"AuthFailure", 401},
	}
	expired = answers{
		api.JSON11: {"InvalidSignatureException", 400}, api.RESTJSON: {"InvalidSignatureException", 403},
		api.Query: {"SignatureDoesNotMatch", 403}, api.EC2: {"RequestExpired", 400},
	}
	incomplete = answers{
		api.JSON11: {"IncompleteSignatureException", 400}, api.RESTJSON: {"IncompleteSignatureException", 403},
		api.Query: {"IncompleteSignature", 400}, api.EC2: {"IncompleteSignature", 400},
	}
)

// A forger changes requests after they were signed.
type forger struct {
	next  http.RoundTripper
	forge func(r *http.Request, body []byte)
}

// RoundTrip sends what the forger makes of a request.
func (f forger) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	in, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	f.forge(r, body)
	return f.next.RoundTrip(r)
}

// forgeries are ways to be nobody in particular.
var forgeries = map[string]struct {
	want  answers
	forge func(r *http.Request, body []byte, service string)
}{
	"unsigned":       {missing, func(r *http.Request, _ []byte, _ string) { r.Header.Del("Authorization") }},
	"a bearer token": {missing, func(r *http.Request, _ []byte, _ string) { r.Header.Set("Authorization", "Bearer x") }},
	"a wrong signature": {wrong, func(r *http.Request, _ []byte, _ string) {
		r.Header["Authorization"][0] = flip(r.Header["Authorization"][0])
	}},
	"half a signature": {wrong, func(r *http.Request, _ []byte, _ string) {
		h := r.Header["Authorization"][0]
		r.Header["Authorization"][0] = h[:len(h)-32]
	}},
	"no signature in the header": {incomplete, func(r *http.Request, _ []byte, _ string) {
		h, _, _ := strings.Cut(r.Header["Authorization"][0], ", Signature=")
		r.Header["Authorization"][0] = h
	}},
	"a header more":              {wrong, func(r *http.Request, _ []byte, _ string) { r.Header.Set("X-Amz-Extra", "1") }},
	"a token that is not signed": {wrong, func(r *http.Request, _ []byte, _ string) { r.Header.Set("X-Amz-Security-Token", "x") }},
	"an unknown key": {unknown, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: directory.DevSecret}, testkit.Region, service, time.Now())
	}},
	"a made-up session": {unknown, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Secret: directory.DevSecret, SessionToken: "FwoGZXIvYXdzEJr"}, testkit.Region, service, time.Now())
	}},
	"another's secret": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: "not the secret"}, testkit.Region, service, time.Now())
	}},
	"signed for another service": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), testkit.Region, another(service), time.Now())
		r.Header["Authorization"][0] = strings.Replace(r.Header["Authorization"][0], "/"+another(service)+"/", "/"+service+"/", 1)
	}},
	"signed for another Region": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), "eu-west-1", service, time.Now())
		r.Header["Authorization"][0] = strings.Replace(r.Header["Authorization"][0], "/eu-west-1/", "/"+testkit.Region+"/", 1)
	}},
	"signed for another partition": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), "cn-north-1", service, time.Now())
	}},
	"signed for no Region": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), "..", service, time.Now())
	}},
	"signed an hour ago": {expired, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), testkit.Region, service, time.Now().Add(-time.Hour))
	}},
	"signed in an hour": {expired, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), testkit.Region, service, time.Now().Add(time.Hour))
	}},
	"an old signature with a new date": {wrong, func(r *http.Request, body []byte, service string) {
		sigv4.Sign(r, body, testkit.Admin(account), testkit.Region, service, time.Now().Add(-time.Minute))
		r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	}},
	"another body": {wrong, func(r *http.Request, body []byte, service string) {
		if len(body) == 0 { // its place is the query string
			r.URL.RawQuery += "&x=1"
		}
		sigv4.Sign(r, append([]byte(" "), body...), testkit.Admin(account), testkit.Region, service, time.Now())
	}},
}

func flip(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}

func another(service string) string {
	if service == "sts" {
		return "kms"
	}
	return "sts"
}

// leaky is what the texts of errors may not have: where things lie on the server, and names of its code.
var leaky = regexp.MustCompile(`/tmp/|/work/|/root/|/home/|\.go:\d|goroutine|panic|runtime error|nil pointer|invalid memory|internal/|kagimori/|\*?\b(kms|iam|sts|ec2|ebs|store|bolt|wire|guard|trail|authz|directory|errors|http|json|xml|strconv|reflect)\.[A-Z]|json: (cannot|unknown|invalid)|jsontext: |xml: |into Go |Go (struct|value|type)|strconv|store: |unexpected EOF|0x[0-9a-f]{6}|%!`)

// leaks is what the text of an error tells of the server, or "". What EC2 encodes is sealed.
func leaks(message string) string {
	text, _, _ := strings.Cut(message, "Encoded authorization failure message: ")
	return leaky.FindString(text)
}

// refusal is the service's error, whose text tells nothing of the server's inside.
func refusal(t *testing.T, what string, err error) (*apierr.Error, bool) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		t.Errorf("%s: got %v, want an error of the service", what, err)
		return nil, false
	}
	if at := leaks(e.Message); at != "" {
		t.Errorf("%s: the text tells %q: %s", what, at, e.Message)
	}
	return e, true
}

// do calls an operation with a good request.
func (w *world) do(t *testing.T, c *client.Client, s offered, op *api.Operation) (out any, err error) {
	if op.NewOutput != nil {
		out = op.NewOutput()
	}
	return out, c.Do(t.Context(), op.Name, good(s.Service, op, w.known), out)
}

// Every operation refuses who does not prove to be somebody, with AWS's code; nobody asked, so that nothing
// is recorded, and nothing is changed.
func TestEveryOperationRefusesForgedRequests(t *testing.T) {
	w := newWorld(t)
	before, end := w.stored(t), w.end(t)
	for name, f := range forgeries {
		n := 0
		each(func(s offered, op *api.Operation) {
			c := *s.of(w.admin).Client
			c.HTTP = &http.Client{Transport: forger{c.HTTP.Transport, func(r *http.Request, body []byte) { f.forge(r, body, s.Name) }}}
			what := name + ": " + s.Name + ":" + op.Name
			_, err := w.do(t, &c, s, op)
			if e, ok := refusal(t, what, err); ok && (answer{e.Code, e.Status}) != f.want[s.Protocol] {
				t.Errorf("%s: %d %v", what, e.Status, e)
			}
			n++
		})
		if n < 500 {
			t.Errorf("%s: only %d operations", name, n)
		}
	}
	unchanged(t, "forged requests", before, w.stored(t), false)
	if now := w.end(t); now != end {
		t.Errorf("%d records", now-end)
	}
}

// noAccess is how a service says that the caller may not.
func noAccess(s *api.Service) answer {
	switch {
	case s.Name == "ec2":
		return answer{"UnauthorizedOperation", 403}
	case s.Protocol == api.JSON11:
		return answer{"AccessDeniedException", 400}
	case s.Protocol == api.RESTJSON:
		return answer{"AccessDeniedException", 403}
	}
	return answer{"AccessDenied", 403}
}

// needNone are the operations that need no permission; a denial refuses the second. Source: STS API
// Reference, GetCallerIdentity and GetSessionToken.
var needNone = []string{"sts:GetCallerIdentity", "sts:GetSessionToken"}

// Every operation refuses those of the account who have no permission, or have one and a denial too; the
// audit log says so, and nothing is changed.
func TestEveryOperationRefusesWhoMayNot(t *testing.T) {
	w := newWorld(t)
	const denied = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*"}]}`
	for name, c := range map[string]testkit.Clients{"nobody": w.user(t, "nobody", ""), "refused": w.user(t, "refused", denied)} {
		before := w.stored(t)
		each(func(s offered, op *api.Operation) {
			what := name + ": " + s.Name + ":" + op.Name
			out, err := w.do(t, s.of(c).Client, s, op)
			if i := slices.Index(needNone, s.Name+":"+op.Name); i == 0 || i > 0 && name == "nobody" {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				return
			}
			if err == nil {
				t.Errorf("%s was served: %s", what, dump(t, out))
				return
			}
			e, ok := refusal(t, what, err)
			if !ok {
				return
			}
			if (answer{e.Code, e.Status}) != noAccess(s.Service) {
				t.Errorf("%s: %d %v", what, e.Status, e)
			}
			if explicit := strings.Contains(e.Message, "with an explicit deny"); explicit != (name == "refused") {
				t.Errorf("%s: %s", what, e.Message)
			}
			rec, _ := w.record(t, trail.Filter{Account: account, EventName: op.Name})
			if rec.ErrorCode != noAccess(s.Service).code || rec.UserIdentity.UserName != name || rec.EventSource != s.Name+".amazonaws.com" {
				t.Errorf("%s: the newest record is %s of %s, %q by %s", what, rec.EventName, rec.EventSource, rec.ErrorCode, rec.UserIdentity.ARN)
			}
		})
		unchanged(t, name, before, w.stored(t), false)
	}
}

// A session ends with its role, for every operation.
func TestEveryOperationRefusesASessionWithoutItsRole(t *testing.T) {
	w := newWorld(t)
	c, end := w.session(t)
	testkit.Call[stsapi.GetCallerIdentityResponse](c.STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{})
	end()
	before, last := w.stored(t), w.end(t)
	each(func(s offered, op *api.Operation) {
		what := s.Name + ":" + op.Name
		_, err := w.do(t, s.of(c).Client, s, op)
		if e, ok := refusal(t, what, err); ok && (answer{e.Code, e.Status}) != unknown[s.Protocol] {
			t.Errorf("%s: %d %v", what, e.Status, e)
		}
	})
	unchanged(t, "a session without its role", before, w.stored(t), false)
	if now := w.end(t); now != last {
		t.Errorf("%d records", now-last)
	}
}

// A dry run says what would come of a request and does nothing: to who may not, no; to who may, that it
// would succeed.
func TestDryRunsDoNothing(t *testing.T) {
	w := newWorld(t)
	nobody := w.user(t, "nobody", "")
	before, dried := w.stored(t), 0
	each(func(s offered, op *api.Operation) {
		in := good(s.Service, op, w.known)
		dry := reflect.ValueOf(in).Elem().FieldByName("DryRun")
		if !dry.IsValid() {
			return
		}
		dry.Set(reflect.ValueOf(new(true)))
		if e, ok := refusal(t, op.Name, s.of(nobody).Do(t.Context(), op.Name, in, nil)); ok && e.Code != noAccess(s.Service).code {
			t.Errorf("a dry run of %s by nobody: %v", op.Name, e)
		}
		if e, ok := refusal(t, op.Name, s.of(w.admin).Do(t.Context(), op.Name, in, nil)); ok && strings.HasPrefix(e.Code, "DryRunOperation") {
			dried++
		}
	})
	if dried < 50 {
		t.Errorf("%d dry runs of the administrator would have succeeded", dried)
	}
	unchanged(t, "dry runs", before, w.stored(t), false)
}

func dump(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
