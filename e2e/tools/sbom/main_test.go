package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const bill = `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"component":{"bom-ref":"root","type":"application","name":"kagimori"}},
"components":[{"bom-ref":"m","type":"library","name":"m"}],"dependencies":[{"ref":"root","dependsOn":["m"]},{"ref":"m"}]}`

const lock = `{"lockfileVersion":3,"packages":{
"":{"dependencies":{"a":"1","@s/b":"2"},"devDependencies":{"d":"1"}},
"node_modules/a":{"version":"1.0.0","integrity":"sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","license":"MIT","dependencies":{"@s/b":"1"}},
"node_modules/a/node_modules/@s/b":{"version":"1.0.0","integrity":"sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","license":"(MIT OR Apache-2.0)"},
"node_modules/@s/b":{"version":"2.0.0","integrity":"sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="},
"node_modules/d":{"version":"9.0.0","dev":true}}}`

// Packages come in with their hashes and with what they need; those that only build do not.
func TestPackagesAreAdded(t *testing.T) {
	data, err := complete([]byte(bill), []byte(lock))
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, c := range *bom.Components {
		refs = append(refs, c.BOMRef)
		if c.BOMRef != "m" && ((*c.Hashes)[0].Algorithm != cdx.HashAlgoSHA512 || (*c.Hashes)[0].Value != strings.Repeat("00", 64)) {
			t.Errorf("%s: %v", c.BOMRef, c.Hashes)
		}
	}
	if want := []string{"m", "pkg:npm/%40s/b@1.0.0", "pkg:npm/%40s/b@2.0.0", "pkg:npm/a@1.0.0"}; !slices.Equal(refs, want) {
		t.Errorf("components %v", refs)
	}
	got := map[string]string{}
	for _, d := range *bom.Dependencies {
		if d.Dependencies != nil {
			got[d.Ref] = strings.Join(*d.Dependencies, " ")
		}
	}
	if got["root"] != "m pkg:npm/%40s/b@2.0.0 pkg:npm/a@1.0.0" || got["pkg:npm/a@1.0.0"] != "pkg:npm/%40s/b@1.0.0" {
		t.Errorf("dependencies %v", got)
	}
}

func TestBadLocks(t *testing.T) {
	for _, bad := range []string{
		`{"lockfileVersion":2,"packages":{}}`, `{`, strings.Replace(lock, "sha512-AA", "sha512-A", 1), strings.Replace(lock, `"node_modules/a"`, `"node_modules/x"`, 1),
	} {
		if _, err := complete([]byte(bill), []byte(bad)); err == nil {
			t.Errorf("taken: %.80s", bad)
		}
	}
}
