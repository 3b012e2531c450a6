package wire_test

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func newServer(t *testing.T) *server.Server {
	t.Helper()
	return server.Start(t, t.TempDir()+"/data")
}

func TestMalformedJSONIsASerializationError(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":        `{`,
		"nothing":         ``,
		"an array":        `[]`,
		"a string":        `"x"`,
		"wrong type":      `{"KeyId":1}`,
		"wrong list":      `{"KeyId":"x","Tags":{}}`,
		"two values":      `{} {}`,
		"bad text":        "{\"KeyId\":\"\xff\xfe\"}",
		"duplicate":       `{"KeyId":"a","KeyId":"b"}`,
		"deep nesting":    strings.Repeat("[", 20000),
		"xml":             `<CreateKey/>`,
		"query":           `Action=CreateKey`,
		"number overflow": `{"KeyId":"x","NumberOfBytes":1e400}`,
	} {
		t.Run(name, func(t *testing.T) {
			q := kmsRequest("GenerateDataKey", body)
			if name == "wrong list" {
				q = kmsRequest("TagResource", body)
			}
			a := send(t, q)
			if code := a.code(t); a.Status != 400 || code != "SerializationException" && !(name == "nothing" && code == "ValidationException") {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
}

func TestMalformedQueriesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		body, contentType string
		code              string
	}{
		"no action":        {"Version=2010-05-08", "", "MissingAction"},
		"nothing":          {"", "", "MissingAction"},
		"bad escape":       {"Action=ListUsers&Version=2010-05-08&Marker=%zz", "", "MalformedQueryString"},
		"bad text":         {"Action=ListUsers&Version=2010-05-08&Marker=%ff%fe", "", "ValidationError"},
		"unknown action":   {"Action=MakeCoffee&Version=2010-05-08", "", "InvalidAction"},
		"unknown version":  {"Action=ListUsers&Version=1999-01-01", "", "InvalidAction"},
		"not a form":       {"<ListUsers/>", "text/xml", "MalformedQueryString"},
		"json to a query":  {`{"UserName":"x"}`, "application/json", "SerializationException"},
		"not a number":     {"Action=ListUsers&Version=2010-05-08&MaxItems=many", "", "MalformedInput"},
		"number too large": {"Action=ListUsers&Version=2010-05-08&MaxItems=99999999999999999999", "", "MalformedInput"},
	} {
		t.Run(name, func(t *testing.T) {
			q := queryRequest("iam", "ListUsers", nil)
			q.Body = []byte(c.body)
			if c.contentType != "" {
				q.Header["Content-Type"] = c.contentType
			}
			a := send(t, q)
			if a.Status < 400 || a.Status > 499 {
				t.Errorf("status is %d: %s", a.Status, a.Body)
			}
			if got := a.code(t); got != c.code {
				t.Errorf("code is %q, want %q: %s", got, c.code, a.Body)
			}
		})
	}
}

func TestUnknownOperationsAreQuick4xxThatNameThem(t *testing.T) {
	refusal(t, kmsRequest("MakeCoffee", "{}"), 400, "UnknownOperationException", "MakeCoffee")
	refusal(t, queryRequest("ec2", "CreateTransitGateway", nil), 400, "InvalidAction", "CreateTransitGateway")
	for _, service := range []string{"iam", "sts", "autoscaling"} {
		refusal(t, queryRequest(service, "MakeCoffee", nil), 400, "InvalidAction", "MakeCoffee")
	}
	other := kmsRequest("ListTables", "{}")
	other.Header["X-Amz-Target"] = "DynamoDB_20120810.ListTables"
	refusal(t, other, 400, "UnknownOperationException", "DynamoDB_20120810.ListTables")
	cbor := kmsRequest("ListKeys", "{}")
	cbor.Header["Smithy-Protocol"] = "rpc-v2-cbor"
	refusal(t, cbor, 404, "UnknownOperationException")
	path := kmsRequest("ListKeys", "{}")
	path.Path = "/admin"
	refusal(t, path, 404, "UnknownOperationException")
	method := kmsRequest("ListKeys", "{}")
	method.Method = "PUT"
	refusal(t, method, 405, "UnknownOperationException")
}

func TestConstraintViolationsAreWordedAsByAWS(t *testing.T) {
	refusal(t, kmsRequest("DescribeKey", "{}"), 400, "ValidationException",
		"1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null")
	refusal(t, kmsRequest("ListKeys", `{"Limit":0}`), 400, "ValidationException",
		"1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1")
	refusal(t, kmsRequest("CreateKey", `{"KeySpec":"SECRET"}`), 400, "ValidationException", "Value 'SECRET' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set:")
	refusal(t, queryRequest("iam", "CreateUser", url.Values{"UserName": {"no spaces please"}}), 400, "ValidationError")
	refusal(t, queryRequest("ec2", "CreateVolume", nil), 400, "MissingParameter")
	refusal(t, queryRequest("autoscaling", "DeleteAutoScalingGroup", nil), 400, "ValidationError", "autoScalingGroupName")
}

func TestPlaintextIsNeverInAnError(t *testing.T) {
	arn, as := newKey(t)
	secret := strings.Repeat("very secret ", 400)
	a := refusal(t, as("Encrypt", `{"KeyId":`+quote(arn)+`,"Plaintext":"`+base(secret)+`"}`), 400, "ValidationException", "plaintext")
	if strings.Contains(a.Body, base(secret)[:40]) || strings.Contains(a.Body, "very secret") || strings.Contains(shared.Tail(1<<20), base(secret)[:40]) {
		t.Errorf("the plaintext is in the answer or the log: %s", a.Body)
	}
}

func TestPoliciesOverTheLimitsAreRefused(t *testing.T) {
	arn, as := newKey(t)
	before := send(t, as("GetKeyPolicy", `{"KeyId":`+quote(arn)+`}`)).Body
	long := seed.Policy(seed.Full(seed.Root(arn[len("arn:aws:kms:us-west-2:"):][:12]))) + strings.Repeat(" ", 33000)
	refusal(t, as("PutKeyPolicy", `{"KeyId":`+quote(arn)+`,"Policy":`+quote(long)+`}`), 400, "LimitExceededException")
	refusal(t, as("CreateKey", `{"Policy":`+quote(long)+`}`), 400, "LimitExceededException")
	huge := `{"Version":"2012-10-17"` + strings.Repeat(" ", 131072) + `}`
	refusal(t, as("PutKeyPolicy", `{"KeyId":`+quote(arn)+`,"Policy":`+quote(huge)+`}`), 400, "ValidationException")
	if after := send(t, as("GetKeyPolicy", `{"KeyId":`+quote(arn)+`}`)).Body; after != before {
		t.Errorf("refused policies changed the key's: %s, was %s", after, before)
	}
	user := queryRequest("iam", "CreateUser", url.Values{"UserName": {"u"}})
	send(t, user)
	inline := queryRequest("iam", "PutUserPolicy", url.Values{
		"UserName": {"u"}, "PolicyName": {"p"}, "PolicyDocument": {seed.Identity("kms:Decrypt", "arn:aws:kms:us-west-2:123456789012:key/"+strings.Repeat("a", 2100))},
	})
	inline.Key = user.Key
	refusal(t, inline, 409, "LimitExceeded")
}

func TestPoliciesThatCannotBeAreRefused(t *testing.T) {
	arn, as := newKey(t)
	account := arn[len("arn:aws:kms:us-west-2:"):][:12]
	root := seed.Root(account)
	for name, c := range map[string]struct{ policy, code string }{
		"not JSON":          {`{`, "MalformedPolicyDocumentException"},
		"unknown effect":    {`{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Principal":"*","Action":"kms:*","Resource":"*"}]}`, "MalformedPolicyDocumentException"},
		"no principal":      {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`, "MalformedPolicyDocumentException"},
		"unknown user":      {seed.Policy(seed.Full(root), seed.Use("arn:aws:iam::"+account+":user/nobody")), "MalformedPolicyDocumentException"},
		"unknown role":      {seed.Policy(seed.Full(root), seed.Use(seed.Role(account))), "MalformedPolicyDocumentException"},
		"wildcard in ARN":   {seed.Policy(seed.Full(root), seed.Use("arn:aws:iam::"+account+":role/*")), "MalformedPolicyDocumentException"},
		"no account":        {seed.Policy(seed.Full(root), seed.Use("somebody")), "MalformedPolicyDocumentException"},
		"locks out":         {seed.Policy(seed.Use(root)), "MalformedPolicyDocumentException"},
		"duplicate members": {`{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, "MalformedPolicyDocumentException"},
	} {
		t.Run(name, func(t *testing.T) {
			refusal(t, as("PutKeyPolicy", `{"KeyId":`+quote(arn)+`,"Policy":`+quote(c.policy)+`}`), 400, c.code)
		})
	}
	// The emptiest policy that leaves the root user in is fine.
	if a := send(t, as("PutKeyPolicy", `{"KeyId":`+quote(arn)+`,"Policy":`+quote(seed.Policy(seed.Full(root)))+`}`)); a.Status != 200 {
		t.Errorf("a good policy: %d %s", a.Status, a.Body)
	}
}

func TestEncryptionContextsAreBounded(t *testing.T) {
	arn, as := newKey(t)
	encrypt := func(context string) request {
		return as("Encrypt", `{"KeyId":`+quote(arn)+`,"Plaintext":"`+base("x")+`","EncryptionContext":`+context+`}`)
	}
	refusal(t, encrypt(`{"k":"`+strings.Repeat("v", 8200)+`"}`), 400, "ValidationException")
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("%q:%q", fmt.Sprint("k", i), "v"))
	}
	refusal(t, encrypt("{"+strings.Join(many, ",")+"}"), 400, "ValidationException")
	refusal(t, encrypt("{\"k\":\"\xff\xfe\"}"), 400, "SerializationException")
	refusal(t, encrypt(`{"k":1}`), 400, "SerializationException")
	refusal(t, encrypt(`{"k":null}`), 400, "SerializationException")
	refusal(t, encrypt(`{"a":"1","a":"2"}`), 400, "SerializationException")
	refusal(t, encrypt(`{"k":"\ud800"}`), 400, "SerializationException")
	for name, context := range map[string]string{"control characters": `{"k":"\u0000\u0001\n"}`, "Unicode": `{"鍵":"守"}`, "empty": `{}`} {
		a := send(t, encrypt(context))
		if a.Status != 200 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
			continue
		}
		blob := a.Body[strings.Index(a.Body, `"CiphertextBlob":"`)+len(`"CiphertextBlob":"`):]
		blob = blob[:strings.IndexByte(blob, '"')]
		if a = send(t, as("Decrypt", `{"CiphertextBlob":"`+blob+`","EncryptionContext":`+context+`}`)); a.Status != 200 {
			t.Errorf("Decrypt with %s: %d %s", name, a.Status, a.Body)
		}
		if a = send(t, as("Decrypt", `{"CiphertextBlob":"`+blob+`","EncryptionContext":{"other":"1"}}`)); a.code(t) != "InvalidCiphertextException" {
			t.Errorf("Decrypt of %s with another context: %d %s", name, a.Status, a.Body)
		}
	}
}

func TestGarbageIsNoCiphertext(t *testing.T) {
	_, as := newKey(t)
	for _, blob := range []string{base("x"), base(strings.Repeat("\x00", 200)), base(strings.Repeat("\xff", 6000))} {
		refusal(t, as("Decrypt", `{"CiphertextBlob":"`+blob+`"}`), 400, "InvalidCiphertextException")
	}
	refusal(t, as("Decrypt", `{"CiphertextBlob":"***"}`), 400, "SerializationException")
	refusal(t, as("Decrypt", `{"CiphertextBlob":""}`), 400, "ValidationException")
	refusal(t, as("Decrypt", `{"CiphertextBlob":"`+base(strings.Repeat("x", 6200))+`"}`), 400, "ValidationException")
}

func TestGrantsForNobodyAreRefused(t *testing.T) {
	arn, as := newKey(t)
	account := arn[len("arn:aws:kms:us-west-2:"):][:12]
	for _, who := range []string{seed.Role(account), "arn:aws:iam::" + account + ":user/nobody", "nobody", "arn:aws:s3:::bucket", "arn:aws:iam::" + account + ":group/admins"} {
		refusal(t, as("CreateGrant", `{"KeyId":`+quote(arn)+`,"GranteePrincipal":`+quote(who)+`,"Operations":["Decrypt"]}`), 400, "InvalidArnException")
	}
	refusal(t, as("CreateGrant", `{"KeyId":`+quote(arn)+`,"GranteePrincipal":`+quote(seed.Root(account))+`,"Operations":[]}`), 400, "ValidationException")
	refusal(t, as("CreateGrant", `{"KeyId":`+quote(arn)+`,"GranteePrincipal":`+quote(seed.Root(account))+`,"Operations":["Fly"]}`), 400, "ValidationException", "Fly")
	if a := send(t, as("ListGrants", `{"KeyId":`+quote(arn)+`}`)); a.Status != 200 || strings.Contains(a.Body, "GrantId") {
		t.Errorf("after the refusals: %d %s", a.Status, a.Body)
	}
}

func TestRequestsThatAreTooLargeAreRefused(t *testing.T) {
	refusal(t, kmsRequest("CreateKey", `{"Description":"`+strings.Repeat("x", 2<<20)+`"}`), 413, "RequestEntityTooLargeException")
	refusal(t, queryRequest("ec2", "DescribeVolumes", url.Values{"NextToken": {strings.Repeat("x", 2<<20)}}), 413, "RequestEntityTooLarge")
}
