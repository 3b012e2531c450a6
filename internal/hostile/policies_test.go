package hostile_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

func allowing(action, resource, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"` + condition + `}]}`
}

// lookalikes are policies that allow kms:ListKeys for the eye alone. Each is refused, or allows nothing.
var lookalikes = map[string]string{
	"a Cyrillic letter":          allowing("kms:ListКeys", "*", ""),
	"a Cyrillic service":         allowing("кms:ListKeys", "*", ""),
	"a full-width colon":         allowing("kms：ListKeys", "*", ""),
	"a zero-width space":         allowing("kms:List\u200bKeys", "*", ""),
	"a soft hyphen":              allowing("kms:List\u00adKeys", "*", ""),
	"a combining mark":           allowing("kms:ListKeys\u0301", "*", ""),
	"a direction mark":           allowing("\u202ekms:ListKeys", "*", ""),
	"a BOM":                      allowing("\ufeffkms:ListKeys", "*", ""),
	"a NUL":                      allowing("kms:ListKeys\u0000", "*", ""),
	"a lone surrogate":           allowing("kms:ListKeys\\ud800", "*", ""),
	"full-width letters":         allowing("ｋｍｓ:ListKeys", "*", ""),
	"a full-width star":          allowing("kms:ListKeys", "＊", ""),
	"a long s in the service":    allowing("kmſ:ListKeys", "*", ""),
	"a Cyrillic key":             allowing("kms:ListKeys", "*", `{"StringEquals":{"аws:username":"eve"}}`),
	"a composed value":           allowing("kms:ListKeys", "*", `{"StringEquals":{"aws:PrincipalTag/name":"e\u0301"}}`),
	"a value of another case":    allowing("kms:ListKeys", "*", `{"StringEquals":{"aws:username":"EVE"}}`),
	"a value with a space":       allowing("kms:ListKeys", "*", `{"StringEquals":{"aws:username":"eve "}}`),
	"a variable in a variable":   allowing("kms:ListKeys", "*", `{"StringEquals":{"aws:userid":"${${aws:username}}"}}`),
	"an effect with a space":     strings.Replace(allowing("kms:ListKeys", "*", ""), `"Allow"`, `"Allow "`, 1),
	"a Cyrillic effect":          strings.Replace(allowing("kms:ListKeys", "*", ""), `"Allow"`, `"Аllow"`, 1),
	"an element twice":           strings.Replace(allowing("kms:ListUsers", "*", ""), `"Resource"`, `"Action":"kms:ListKeys","Resource"`, 1),
	"an element twice, hidden":   strings.Replace(allowing("kms:ListUsers", "*", ""), `"Resource"`, `"\u0041ction":"kms:ListKeys","Resource"`, 1),
	"an element of another case": strings.Replace(allowing("kms:ListKeys", "*", ""), `"Action"`, `"ACTION"`, 1),
	"a denial hidden":            strings.Replace(allowing("kms:ListKeys", "*", ""), `"Effect":"Allow"`, `"Effect":"Allow","\u0045ffect":"Deny"`, 1),
	"two documents":              allowing("kms:ListKeys", "*", "") + allowing("kms:ListKeys", "*", ""),
	"a comment":                  "/* */" + allowing("kms:ListKeys", "*", ""),
	"a trailing comma":           strings.Replace(allowing("kms:ListKeys", "*", ""), `}]`, `},]`, 1),
	"depth":                      strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
	"a huge number":              strings.Replace(allowing("kms:ListKeys", "*", `{"NumericLessThan":{"aws:EpochTime":1e999999999}}`), "\n", "", 1),
	"a version of the future":    strings.Replace(allowing("kms:ListKeys", "*", ""), "2012-10-17", "２０１２-10-17", 1),
}

// No policy that only looks as if it allowed something allows it.
func TestPoliciesThatLookAlike(t *testing.T) {
	w := newWorld(t)
	eve := w.user(t, "eve", "")
	testkit.Must(w.admin.IAM, "TagUser", &iamapi.TagUserRequest{UserName: new("eve"), Tags: []iamapi.Tag{{Key: new("name"), Value: new("é")}}})
	list := func() error {
		return eve.KMS.Do(t.Context(), "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{})
	}
	put := func(doc string) error {
		return w.admin.IAM.Do(t.Context(), "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: new("eve"), PolicyName: new("p"), PolicyDocument: &doc}, nil)
	}
	if err := put(allowing("KMS:listkeys", "*", `{"StringEquals":{"AWS:UserName":"eve","aws:principaltag/NAME":"é"}}`)); err != nil || list() != nil {
		t.Fatalf("what is meant: %v, %v", err, list())
	}
	for name, doc := range lookalikes {
		testkit.Must(w.admin.IAM, "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: new("eve"), PolicyName: new("p"), PolicyDocument: new(allowing("s3:x", "*", ""))})
		err := put(doc)
		if err != nil {
			if e, ok := refusal(t, name, err); ok && e.Code != "MalformedPolicyDocument" && e.Code != "ValidationError" && e.Code != "LimitExceeded" && e.Code != "InvalidInput" {
				t.Errorf("%s: %v", name, e)
			}
		}
		if list() == nil {
			t.Errorf("%s allows kms:ListKeys (%v)", name, err)
		}
	}
}

// Patterns that a naive matcher would try in all ways are decided at once.
func TestPatternsThatBlowUp(t *testing.T) {
	w := newWorld(t)
	eve := w.user(t, "eve", "")
	many := strings.Repeat("*?", 400)
	for name, doc := range map[string]string{
		"an action":   allowing("kms:"+many+"x", "*", ""),
		"a resource":  allowing("kms:ListKeys", "arn:aws:kms:"+many+":x:"+many, ""),
		"a condition": allowing("kms:ListKeys", "*", `{"StringLike":{"aws:userid":"`+strings.Repeat("*A", 400)+`!"}}`),
		"an ARN":      allowing("kms:ListKeys", "*", `{"ArnLike":{"aws:PrincipalArn":"arn:*`+many+`:iam::*:`+many+`!"}}`),
		"variables":   allowing("kms:ListKeys", "*", `{"StringLike":{"aws:userid":"`+strings.Repeat("*${aws:username}", 60)+`!"}}`),
	} {
		if err := w.admin.IAM.Do(t.Context(), "PutUserPolicy", &iamapi.PutUserPolicyRequest{UserName: new("eve"), PolicyName: new("p"), PolicyDocument: &doc}, nil); err != nil {
			refusal(t, name, err)
			continue
		}
		for range 20 {
			if e := testkit.Refused(eve.KMS, "ListKeys", &kmsapi.ListKeysRequest{}); e.Code != "AccessDeniedException" {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
}
