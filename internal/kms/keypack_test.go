package kms_test

import (
	"bytes"
	"encoding/json"
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

// fullGrant has every field that a grant can have, as JSON has been written for it since the first version.
const fullGrant = `{"id":"0a","region":"eu-central-1","account":"111122223333","keyId":"k1","name":"n\u00e9","grantee":"autoscaling.amazonaws.com","granteeId":"AROA1",
"granteeService":true,"retiring":"arn:aws:iam::1:role/b","retiringId":"AROA2","retiringService":true,"issuer":"444455556666","operations":["Decrypt","CreateGrant"],
"equals":{"a":"b","c":""},"subset":{"":"x","d":"e"},"sourceArn":"arn:aws:s3:::x","created":"2026-01-02T03:04:05.006+09:00"}`

// packings are the records that are packed, by example: with all fields that there are, of which a packed one has
// so many, and with the least.
var packings = []struct {
	name        string
	by          kms.Packing
	full, least string
	fields      int
}{
	{"key", kms.KeyPacking(), fullKey, `{"id":"a","region":"r","account":"1","usage":"","spec":"","origin":"","manager":"","state":"","created":"0001-01-01T00:00:00Z","policy":"","materials":null}`, 25},
	{"grant", kms.GrantPacking(), fullGrant, `{"id":"a","region":"r","account":"1","keyId":"k","grantee":"","issuer":"","operations":null,"created":"0001-01-01T00:00:00Z"}`, 17},
}

// A packed record says what its JSON says.
func TestPackedRecords(t *testing.T) {
	for _, of := range packings {
		t.Run(of.name, func(t *testing.T) {
			for _, text := range []string{of.full, of.least} {
				packed, err := of.by.Pack([]byte(text))
				check(t, err)
				back, err := of.by.Unpack(packed)
				check(t, err)
				var got, want map[string]any
				check(t, json.Unmarshal(back, &got))
				check(t, json.Unmarshal([]byte(text), &want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if again, err := of.by.Repack(packed); err != nil || !bytes.Equal(again, packed) {
					t.Errorf("packed again: %v, %x", err, again)
				}
				// The example has all fields that there are: a field that is added is to be packed too.
				if text == of.full && len(got) != of.fields {
					t.Errorf("it has %d fields; those of a packed one are %d", len(got), of.fields)
				}
			}
		})
	}
}

// What is no packed record is refused; what is taken means what it says.
func fuzzPacked(f *testing.F, by kms.Packing, full string) {
	packed, err := by.Pack([]byte(full))
	check(f, err)
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := by.Repack(data)
		if err != nil {
			return
		}
		twice, err := by.Repack(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%x becomes %x, and that %x: %v", data, once, twice, err)
		}
	})
}

func FuzzPackedKey(f *testing.F) { fuzzPacked(f, kms.KeyPacking(), fullKey) }

func FuzzPackedGrant(f *testing.F) { fuzzPacked(f, kms.GrantPacking(), fullGrant) }

func BenchmarkParsePacked(b *testing.B) {
	for _, of := range packings {
		b.Run(of.name, func(b *testing.B) {
			packed, err := of.by.Pack([]byte(of.full))
			check(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, err := of.by.Repack(packed)
				check(b, err)
			}
		})
	}
}
