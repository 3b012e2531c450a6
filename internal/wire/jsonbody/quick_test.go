package jsonbody_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/jsonbody"
)

// bodies that are read the quick way, nearly, or not.
var bodies = []string{
	`{"KeyId":"alias/a","NumberOfBytes":32}`,
	`{"KeyId": "alias/a", "NumberOfBytes": 32}`,
	`{"KeyId":"alias/a","NumberOfBytes":032}`,
	`{"KeyId":"alias/a","NumberOfBytes":0}`,
	`{"KeyId":"alias/a","NumberOfBytes":-1}`,
	`{"KeyId":"alias/a","NumberOfBytes":1e1}`,
	`{"KeyId":"alias/a","NumberOfBytes":4294967296}`,
	`{"KeyId":"alias/a","NumberOfBytes":999999999}`,
	`{"KeyId":"alias/a","NumberOfBytes":32`,
	`{"KeyId":"alias/a","NumberOfBytes":3 }`,
	`{"KeyId":"a","KeyId":"b"}`,
	`{"KeyId":"a","DryRun":true}`,
	`{"KeyId":"a","DryRun":false}`,
	`{"KeyId":"a","DryRun":falsy}`,
	`{"KeyId":"a","DryRun":truee}`,
	`{"KeyId":"a","Other":1}`,
	`{"KeyId":"a","DryRun":null}`,
	`{"KeyId":null}`,
	`{"KeyId":"\u0061"}`,
	"{\"KeyId\":\"a\tb\"}",
	"{\"KeyId\":\"\xff\"}",
	`{"KeyId":"é"}`,
	`{"KeyId":"a"}}`,
	`{"KeyId":"a"} `,
	`{"KeyId":"a",}`,
	`{"Plaintext":"QUJD","KeyId":"a"}`,
	`{"Plaintext":"","KeyId":"a"}`,
	`{"Plaintext":"QUI=","KeyId":1}`,
	`{"Plaintext":"QUI","KeyId":"a"}`,
	`{"Plaintext":"QU\nJD"}`,
	"{\"Plaintext\":\"QU\r\nJD\"}",
	"{\"Plaintext\":\"QUJD\n\n\n\n\"}",
	`{"Plaintext":"QU\/D"}`,
	`{"Plaintext":"QQ==QQ=="}`,
	`{"Plaintext":"===="}`,
	`{"EncryptionContext":{"a":"b"},"KeyId":"a"}`,
	`{"EncryptionContext":{"a": "b", "c": "d"}, "KeyId": "a"}`,
	`{"EncryptionContext":{},"KeyId":"a"}`,
	`{"EncryptionContext":{"a":"b","a":"c"}}`,
	`{"EncryptionContext":{"a":null}}`,
	`{"EncryptionContext":{"a":1}}`,
	`{"GrantTokens":["a"],"KeyId":"a"}`,
	`{}`, `{ }`, ``, `null`, `{`, `"`, `{"`,
}

// The decoder reads what comes with a space before it, which the quick way leaves to it.
func same(t *testing.T, table *wire.Table, body string) {
	t.Helper()
	type request struct {
		Generate kmsapi.GenerateDataKeyRequest
		Encrypt  kmsapi.EncryptRequest
	}
	var got, want request
	read := func(r *request, body string) (errs []string) {
		for _, in := range []any{&r.Generate, &r.Encrypt} {
			s, v, err := table.Of(in)
			if err != nil {
				t.Fatal(err)
			}
			err = new(jsonbody.Decoders).Decode([]byte(body), s, v)
			errs = append(errs, apierr.Code(err))
		}
		return errs
	}
	gotErr, wantErr := read(&got, body), read(&want, " "+body)
	if d := cmp.Diff(wantErr, gotErr); d != "" {
		t.Fatalf("%q: %s", body, d)
	}
	if wantErr[0] == "" && wantErr[1] == "" {
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q: %s", body, d)
		}
	}
}

func TestQuick(t *testing.T) {
	table, err := wire.TableOf(kmsapi.Service())
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		same(t, table, body)
	}
}

func FuzzQuick(f *testing.F) {
	for _, body := range bodies {
		f.Add(body)
	}
	table, err := wire.TableOf(kmsapi.Service())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) { same(t, table, body) })
}
