package trail_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/trail"
)

const canary = "hunter2"

type inner struct {
	Name   *string
	Secret *secret.String
}

type odd struct {
	List    []inner
	Lists   [][]string
	Secrets []secret.Bytes
	Blobs   [][]byte
	Map     map[string]inner
	Plain   secret.String
	Whole   *int64
	Part    *float64
	NaN     float64
	Small   uint8
	Any     any
	Chan    chan int
	Keys    map[int]string
	Time    time.Time
	hidden  string
}

func TestParameters(t *testing.T) {
	key := secret.String(canary)
	for _, tt := range []struct {
		name string
		in   any
		want string // "" is nil
	}{
		{"nil", nil, ""},
		{"nil pointer", (*kmsapi.EncryptRequest)(nil), ""},
		{"nothing set", &kmsapi.EncryptRequest{}, ""},
		{"no struct", "text", ""},
		{"secrets only", &kmsapi.GenerateDataKeyResponse{Plaintext: secret.Bytes(canary), CiphertextBlob: []byte(canary)}, ""},
		{"encrypt", &kmsapi.EncryptRequest{
			KeyId: new("k"), Plaintext: secret.Bytes(canary), EncryptionContext: map[string]string{"b": "2", "a": "<1>"}, GrantTokens: []string{canary},
		}, `{"keyId":"k","encryptionContext":{"a":"<1>","b":"2"},"grantTokens":"HIDDEN_DUE_TO_SECURITY_REASONS"}`},
		{"decrypt", &kmsapi.DecryptRequest{CiphertextBlob: []byte(canary), EncryptionAlgorithm: new("SYMMETRIC_DEFAULT")},
			`{"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}`},
		{"grant", &kmsapi.CreateGrantResponse{GrantToken: new(canary), GrantId: new("g")},
			`{"grantToken":"HIDDEN_DUE_TO_SECURITY_REASONS","grantId":"g"}`},
		{"numbers and lists", &kmsapi.CreateGrantRequest{
			KeyId: new("k"), Operations: []string{"Decrypt", "CreateGrant"}, DryRun: new(false),
			Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:ebs:id": "vol-1"}},
		}, `{"keyId":"k","operations":["Decrypt","CreateGrant"],"constraints":{"encryptionContextSubset":{"aws:ebs:id":"vol-1"}},"dryRun":false}`},
		{"key", &kmsapi.CreateKeyResponse{KeyMetadata: &kmsapi.KeyMetadata{
			AWSAccountId: new("111122223333"), KeyId: new("k"), CreationDate: new(time.Date(2022, 8, 10, 22, 38, 27, 9, time.UTC)), Enabled: new(true),
		}}, `{"keyMetadata":{"aWSAccountId":"111122223333","keyId":"k","creationDate":"Aug 10, 2022, 10:38:27 PM","enabled":true}}`},
		{"session", &stsapi.AssumeRoleResponse{Credentials: &stsapi.Credentials{
			AccessKeyId: new("ASIA"), SecretAccessKey: &key, SessionToken: new(canary),
		}}, `{"credentials":{"accessKeyId":"ASIA","sessionToken":"HIDDEN_DUE_TO_SECURITY_REASONS"}}`},
		{"odd", &odd{
			List: []inner{{Secret: &key}, {Name: new("n")}}, Lists: [][]string{{}, {"a", "b"}, nil}, Secrets: []secret.Bytes{secret.Bytes(canary)},
			Blobs: [][]byte{[]byte(canary)}, Map: map[string]inner{"y": {Name: new("m")}, "x\"": {Secret: &key}}, Plain: canary, Whole: new(int64(-5)),
			Part: new(1.5), NaN: math.NaN(), Small: 7, Any: key, Chan: make(chan int), Keys: map[int]string{1: "a"},
			Time: time.Date(2022, 8, 1, 9, 0, 0, 0, time.FixedZone("", 3600)), hidden: canary,
		}, `{"list":[{},{"name":"n"}],"lists":[[],["a","b"]],"secrets":[],"blobs":[],"map":{"x\"":{},"y":{"name":"m"}},"whole":-5,"part":1.5,"small":7,` +
			`"time":"Aug 1, 2022, 8:00:00 AM"}`},
		{"bad UTF-8", &kmsapi.EncryptRequest{KeyId: new("a\xffb")}, `{"keyId":"a` + "\ufffd" + `b"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := trail.Parameters(tt.in)
			if string(got) != tt.want || got != nil && tt.want == "" {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got != nil && !json.Valid(got) {
				t.Error("not JSON")
			}
			if strings.Contains(string(got), canary) || strings.Contains(string(got), "redacted") {
				t.Errorf("a secret shows: %s", got)
			}
		})
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("key", "a", "b")
	f.Add("\x00\u2028\xff", "\"", "\\")
	f.Fuzz(func(t *testing.T, id, key, value string) {
		got := trail.Parameters(&kmsapi.DecryptRequest{KeyId: &id, EncryptionContext: map[string]string{key: value}, CiphertextBlob: []byte(canary)})
		var back struct {
			KeyID             string            `json:"keyId"`
			EncryptionContext map[string]string `json:"encryptionContext"`
		}
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		valid := func(s string) string { return string([]rune(s)) }
		if back.KeyID != valid(id) || back.EncryptionContext[valid(key)] != valid(value) {
			t.Fatalf("%q gives %+v", got, back)
		}
	})
}

func BenchmarkParameters(b *testing.B) {
	in := &kmsapi.EncryptRequest{KeyId: new("k"), Plaintext: secret.Bytes(canary), EncryptionContext: map[string]string{"a": "1", "b": "2"}}
	b.ReportAllocs()
	for b.Loop() {
		trail.Parameters(in)
	}
}
