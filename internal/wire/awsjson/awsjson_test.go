package awsjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
)

func newKMS(t testing.TB) (*awsjson.Codec, map[string]*api.Operation) {
	t.Helper()
	svc := kmsapi.Service()
	c, err := awsjson.New(svc)
	if err != nil {
		t.Fatal(err)
	}
	return c, svc.Operations
}

const createGrant = `{
  "KeyId": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  "GranteePrincipal": "arn:aws:iam::111122223333:role\/aws-service-role\/autoscaling.amazonaws.com\/AWSServiceRoleForAutoScaling",
  "Operations": ["Decrypt", "GenerateDataKeyWithoutPlaintext", "CreateGrant"],
  "Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1", "\u9375": "\ud83d\udd11"}},
  "RetiringPrincipal": null,
  "SomethingNewer": {"a": [1, {"b": null}], "a2": "x"},
  "DryRun": false
}`

func TestCreateGrant(t *testing.T) {
	c, ops := newKMS(t)
	got, err := c.DecodeRequest(ops["CreateGrant"], []byte(createGrant))
	if err != nil {
		t.Fatal(err)
	}
	want := &kmsapi.CreateGrantRequest{
		KeyId:            new("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
		GranteePrincipal: new("arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
		Operations:       []string{"Decrypt", "GenerateDataKeyWithoutPlaintext", "CreateGrant"},
		Constraints:      &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:ebs:id": "vol-1", "鍵": "🔑"}},
		DryRun:           new(false),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecodeErrors(t *testing.T) {
	c, ops := newKMS(t)
	for _, tt := range []struct{ op, body, want string }{
		{"DescribeKey", ``, ""},
		{"DescribeKey", " \n", ""},
		{"DescribeKey", `null`, ""},
		{"DescribeKey", `{}`, ""},
		{"DescribeKey", `{"KeyId":null}`, ""},
		{"DescribeKey", `{"keyid":"lower case is another member"}`, ""},
		{"DescribeKey", `{"KeyId":1}`, "NUMBER_VALUE can not be converted to a String"},
		{"DescribeKey", `{"KeyId":true}`, "TRUE_VALUE can not be converted to a String"},
		{"DescribeKey", `{"KeyId":false}`, "FALSE_VALUE can not be converted to a String"},
		{"DescribeKey", `{"KeyId":{}}`, "Start of structure or map found where not expected"},
		{"DescribeKey", `{"KeyId":[]}`, "Start of list found where not expected"},
		{"GenerateDataKey", `{"NumberOfBytes":"32"}`, "STRING_VALUE can not be converted to an Integer"},
		{"GenerateDataKey", `{"NumberOfBytes":32.5}`, "NUMBER_VALUE can not be converted to an Integer"},
		{"GenerateDataKey", `{"NumberOfBytes":2147483648}`, "NUMBER_VALUE can not be converted to an Integer"},
		{"GenerateDataKey", `{"NumberOfBytes":01}`, "The request is not valid JSON near byte 18"},
		{"GenerateDataKey", `{"DryRun":"true"}`, "STRING_VALUE can not be converted to Boolean"},
		{"GenerateDataKey", `{"GrantTokens":"x"}`, "Expected list or null"},
		{"GenerateDataKey", `{"GrantTokens":{}}`, "Expected list or null"},
		{"GenerateDataKey", `{"GrantTokens":[null]}`, "null found where not expected"},
		{"GenerateDataKey", `{"GrantTokens":[1]}`, "NUMBER_VALUE can not be converted to a String"},
		{"GenerateDataKey", `{"EncryptionContext":[]}`, "Expected map or null"},
		{"GenerateDataKey", `{"EncryptionContext":{"a":1}}`, "NUMBER_VALUE can not be converted to a String"},
		{"GenerateDataKey", `{"EncryptionContext":{"a":null}}`, "null found where not expected"},
		{"GenerateDataKey", `{"EncryptionContext":{"a":"1","\u0061":"2"}}`, "The request has a duplicate member near byte 30"},
		{"GenerateDataKey", `{"Recipient":"x"}`, "Unexpected field type"},
		{"Decrypt", `{"CiphertextBlob":"not base64!"}`, "The value of ciphertextBlob is not valid base64"},
		{"Decrypt", `{"CiphertextBlob":1}`, "NUMBER_VALUE can not be converted to a Blob"},
		{"DescribeKey", `{"KeyId":"a","KeyId":"b"}`, "The request has a duplicate member near byte 13"},
		{"DescribeKey", `{"Other":1,"Other":2}`, "The request has a duplicate member near byte 11"},
		{"DescribeKey", "{\"KeyId\":\"\xff\"}", "The request is not valid JSON near byte 10"},
		{"DescribeKey", `{"KeyId":"\ud800"}`, "The request is not valid JSON near byte 10"},
		{"DescribeKey", `{"KeyId":"a"`, "The request is not valid JSON near byte 12"},
		{"DescribeKey", `{"KeyId"`, "The request is not valid JSON near byte 8"},
		{"DescribeKey", `{KeyId:1}`, "The request is not valid JSON near byte 1"},
		{"DescribeKey", `{1:2}`, "The request has a member name that is not a string near byte 1"},
		{"DescribeKey", `{} {}`, "The request has text after the end of its body"},
		{"DescribeKey", `[]`, "Start of list found where not expected"},
		{"DescribeKey", `"x"`, "Unexpected field type"},
		{"DescribeKey", `x`, "The request is not valid JSON near byte 0"},
		{"DescribeKey", `{"X":` + strings.Repeat("[", 20_000), "The request is not valid JSON near byte"},
	} {
		in, err := c.DecodeRequest(ops[tt.op], []byte(tt.body))
		if tt.want == "" {
			if d := cmp.Diff(ops[tt.op].NewInput(), in); err != nil || d != "" {
				t.Errorf("%s: %v\n%s", tt.body, err, d)
			}
			continue
		}
		e, _ := err.(*apierr.Error)
		if e == nil || e.Code != "SerializationException" || !strings.HasPrefix(e.Message, tt.want) || in != nil {
			t.Errorf("%.60s\n got %v\nwant %s", tt.body, err, tt.want)
		}
	}
}

func TestEncode(t *testing.T) {
	c, ops := newKMS(t)
	at := func(ms int64) *time.Time { return new(time.UnixMilli(ms)) }
	for _, tt := range []struct {
		op   string
		out  any
		want string
	}{
		{"CreateKey", &kmsapi.CreateKeyResponse{KeyMetadata: &kmsapi.KeyMetadata{KeyId: new("k"), CreationDate: at(1700000000123), Enabled: new(true)}},
			`{"KeyMetadata":{"KeyId":"k","CreationDate":1700000000.123,"Enabled":true}}`},
		{"CreateKey", &kmsapi.CreateKeyResponse{KeyMetadata: &kmsapi.KeyMetadata{CreationDate: at(1700000000000), DeletionDate: at(-1500), ValidTo: at(10)}},
			`{"KeyMetadata":{"CreationDate":1700000000,"DeletionDate":-1.5,"ValidTo":0.01}}`},
		{"ListKeys", &kmsapi.ListKeysResponse{Keys: []kmsapi.KeyListEntry{}, Truncated: new(false)}, `{"Keys":[],"Truncated":false}`},
		{"GetKeyPolicy", &kmsapi.GetKeyPolicyResponse{Policy: new("{\n\"a\": \"\x01<é>\xff\"}")}, `{"Policy":"{\n\"a\": \"\u0001<é>` + "\uFFFD" + `\"}"}`},
		{"ListGrants", &kmsapi.ListGrantsResponse{Grants: []kmsapi.GrantListEntry{{Constraints: &kmsapi.GrantConstraints{EncryptionContextEquals: map[string]string{"b": "2", "a": "1"}}}}},
			`{"Grants":[{"Constraints":{"EncryptionContextEquals":{"a":"1","b":"2"}}}]}`},
	} {
		got, err := c.EncodeResponse(ops[tt.op], tt.out, "")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.op, err, got, tt.want)
		}
	}
	if _, err := c.EncodeResponse(ops["CreateKey"], "not a structure", ""); err == nil {
		t.Error("a string was encoded")
	}
}

func TestEncodeError(t *testing.T) {
	for _, tt := range []struct {
		f    wire.Fault
		want string
	}{
		{wire.Fault{Code: "NotFoundException", Message: `a "b"`}, `{"__type":"NotFoundException","message":"a \"b\""}`},
		{wire.Fault{Code: "AccessDeniedException", Message: "User: x"}, `{"__type":"AccessDeniedException","Message":"User: x"}`},
		{wire.Fault{Code: "InvalidCiphertextException"}, `{"__type":"InvalidCiphertextException"}`},
	} {
		if got := string(awsjson.EncodeError(tt.f)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	c, _ := newKMS(t)
	got := c.DecodeError(400, []byte(`{"x":{"a":[1]},"__type":"com.amazonaws.kms#NotFoundException:http://x/","Message":"m"}`))
	if got.Code != "NotFoundException" || got.Message != "m" {
		t.Errorf("got %v", got)
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	if _, err := awsjson.New(iamapi.Service()); err == nil {
		t.Error("iam was accepted")
	}
}

// FuzzDecode: whatever decodes encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add("CreateGrant", createGrant)
	f.Add("GenerateDataKey", dataKeyRequest)
	f.Add("TagResource", `{"KeyId":"k","Tags":[{"TagKey":"a","TagValue":""},{}]}`)
	f.Add("Encrypt", `{"Plaintext":"aGk=","EncryptionContext":{"":"x"}}`)
	f.Add("Encrypt", `{"Plaintext":"aGk=","Plaintext":null}`)
	c, ops := newKMS(f)
	f.Fuzz(func(t *testing.T, name, body string) {
		op := ops[name]
		if op == nil {
			return
		}
		in, err := c.DecodeRequest(op, []byte(body))
		if err != nil {
			if apierr.Code(err) != "SerializationException" {
				t.Fatalf("%v", err)
			}
			return
		}
		_ = c.Table().Validate(in)
		again, _, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.DecodeRequest(op, again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if d := cmp.Diff(in, back); d != "" {
			t.Fatalf("%s\n%s", d, again)
		}
	})
}

const dataKeyRequest = `{"KeyId":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab","EncryptionContext":{"aws:ebs:id":"vol-0123456789abcdef0"},"NumberOfBytes":64}`

func dataKeyResponse() *kmsapi.GenerateDataKeyResponse {
	return &kmsapi.GenerateDataKeyResponse{
		CiphertextBlob: make([]byte, 204), Plaintext: make([]byte, 64), KeyMaterialId: new(strings.Repeat("a", 64)),
		KeyId: new("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
	}
}

func BenchmarkGenerateDataKey(b *testing.B) {
	c, ops := newKMS(b)
	op, body, out := ops["GenerateDataKey"], []byte(dataKeyRequest), dataKeyResponse()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.DecodeRequest(op, body); err != nil {
			b.Fatal(err)
		}
		if _, err := c.EncodeResponse(op, out, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingJSON is the standard library on plain types of the same shape.
func BenchmarkEncodingJSON(b *testing.B) {
	type response struct {
		CiphertextBlob, Plaintext []byte
		KeyId, KeyMaterialId      *string
	}
	body, x := []byte(dataKeyRequest), dataKeyResponse()
	out := response{x.CiphertextBlob, x.Plaintext, x.KeyId, x.KeyMaterialId}
	b.ReportAllocs()
	for b.Loop() {
		var in kmsapi.GenerateDataKeyRequest
		if err := json.Unmarshal(body, &in); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(&out); err != nil {
			b.Fatal(err)
		}
	}
}
