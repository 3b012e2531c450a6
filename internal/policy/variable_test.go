package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/policy"
)

func TestConditionKeys(t *testing.T) {
	tests := map[string]string{ // a resource or a condition's value, and the keys of its variables
		"plain":                         "",
		"${aws:username}":               "aws:username",
		"a/${aws:username, 'nobody'}/b": "aws:username",
		"${ aws:PrincipalTag/team }-${kms:ViaService}": "aws:PrincipalTag/team kms:ViaService",
		"${*} ${?} ${$}": "",
		"${aws:username": "",
		"}${":            "",
	}
	for text, want := range tests {
		for place, src := range map[string]string{
			want: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + text + `"}}`,
			strings.TrimSpace("s3:prefix " + want): `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*",` +
				`"Condition":{"StringLike":{"s3:prefix":` + fmt.Sprintf("%q", text) + `}}}}`,
		} {
			doc, err := policy.Parse([]byte(src), policy.Identity)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			var got []string
			doc.ConditionKeys(func(key string) { got = append(got, key) })
			if s := strings.Join(got, " "); s != place {
				t.Errorf("%s: %q, want %q", src, s, place)
			}
		}
	}
}
