package kms_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/kms"
)

// fullKey has every field that a key can have, as JSON has been written for it since the first version.
const fullKey = `{"id":"mrk-1","region":"eu-central-1","account":"111122223333","description":"d\u00e9","usage":"ENCRYPT_DECRYPT",
"spec":"SYMMETRIC_DEFAULT","origin":"EXTERNAL","manager":"CUSTOMER","state":"PendingReplicaDeletion","created":"2026-01-02T03:04:05.006Z",
"deletion":"2027-01-02T03:04:05.006+09:00","window":30,"multiRegion":{"primary":"eu-central-1","replicas":["us-east-1","ap-northeast-1"]},
"rotation":{"days":90,"enabled":"2026-02-02T03:04:05Z"},"rotations":[{"materialId":"aa","date":"2026-03-02T03:04:05Z","type":"ON_DEMAND"},
{"materialId":"bb","date":"2026-04-02T03:04:05Z","type":"AUTOMATIC"}],"policy":"{ \"Version\" : \"2012-10-17\"\n}","policyIds":{"arn:aws:iam::1:role/a":"AROA1","b":"c"},
"tags":[{"key":"k","value":""},{"key":"","value":"v"}],"aliases":["alias/a","alias/b"],"materials":[{"id":"aa","spec":"SYMMETRIC_DEFAULT","wrapped":"AQID"},
{"id":"bb","spec":"RSA_2048","wrapped":"","public":"BAU="},{"id":"cc","spec":"X","wrapped":null}],"pending":{"id":"dd","spec":"SYMMETRIC_DEFAULT","wrapped":"Bg=="},
"imports":{"aa":{"description":"x","expires":"2030-01-01T00:00:00Z"},"bb":{}},"grants":50000,"store":"cks-1","xksKey":"x1"}`

// A packed key says what its JSON says.
func TestPackedKeys(t *testing.T) {
	const least = `{"id":"a","region":"r","account":"1","usage":"","spec":"","origin":"","manager":"","state":"","created":"0001-01-01T00:00:00Z","policy":"","materials":null}`
	for _, text := range []string{fullKey, least} {
		packed, err := kms.PackKey([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		back, err := kms.UnpackKey(packed)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		check(t, json.Unmarshal(back, &got))
		check(t, json.Unmarshal([]byte(text), &want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if again, err := kms.RepackKey(packed); err != nil || !bytes.Equal(again, packed) {
			t.Errorf("packed again: %v, %x", err, again)
		}
	}
	// The test's key has all fields that there are: a field that is added is to be packed too.
	if n := strings.Count(jsonFields(t), ",") + 1; n != 25 {
		t.Errorf("a key has %d fields; those of a packed key are 25", n)
	}
}

// jsonFields are the names of the fields of the full key's JSON.
func jsonFields(t *testing.T) string {
	t.Helper()
	packed, err := kms.PackKey([]byte(fullKey))
	check(t, err)
	back, err := kms.UnpackKey(packed)
	check(t, err)
	var all map[string]json.RawMessage
	check(t, json.Unmarshal(back, &all))
	var names []string
	for name := range all {
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// What is no packed key is refused; what is taken means what it says.
func FuzzPackedKey(f *testing.F) {
	packed, err := kms.PackKey([]byte(fullKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := kms.RepackKey(data)
		if err != nil {
			return
		}
		twice, err := kms.RepackKey(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%x becomes %x, and that %x: %v", data, once, twice, err)
		}
	})
}

func BenchmarkParseKey(b *testing.B) {
	packed, err := kms.PackKey([]byte(fullKey))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kms.RepackKey(packed); err != nil {
			b.Fatal(err)
		}
	}
}
