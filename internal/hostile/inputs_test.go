package hostile_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/accessanalyzerapi"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/testkit"
)

// others are values of every kind, to stand where another kind is expected.
var others = []any{nil, true, -1.5, 1e300, "", "x", []any{}, []any{[]any{}}, map[string]any{}, map[string]any{"x": map[string]any{}}}

// confused are copies of a document with one value in it replaced, in every place.
func confused(doc any, yield func(any)) {
	var walk func(v any, rebuild func(any) any)
	walk = func(v any, rebuild func(any) any) {
		for _, o := range others {
			yield(rebuild(o))
		}
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], func(n any) any {
					m := maps.Clone(v)
					m[k] = n
					return rebuild(m)
				})
			}
		case []any:
			for i := range min(len(v), 3) {
				walk(v[i], func(n any) any {
					l := slices.Clone(v)
					l[i] = n
					return rebuild(l)
				})
			}
		}
	}
	walk(doc, func(n any) any { return n })
}

// Documents with a value of the wrong kind anywhere in them are refused, or read, in words that say nothing
// of the server's code.
func TestConfusedDocuments(t *testing.T) {
	w := newWorld(t)
	step, turn, n := 11, 0, 0
	if os.Getenv("HOSTILE") != "" {
		step = 1
	}
	ask := func(what string, c *testkit.Client, op string, in any) {
		t.Helper()
		n++
		err := c.Do(t.Context(), op, in, nil)
		if survives(t, what, err); err != nil {
			refusal(t, what, err)
		}
	}
	for _, path := range []string{
		"../../examples/terraform/plan.json", "../cfn/testdata/nested/keys.json", "../cfn/testdata/assembly/FleetStack.template.json", "../launch/testdata/scenarios/032-grant-revoked.json",
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		confused(doc, func(v any) {
			if turn++; turn%(step*5) == 0 { // they are long
				ask(path+" "+strconv.Itoa(turn), w.admin.Kagimori, "CheckLaunch", &kagimoriapi.CheckLaunchRequest{Input: new(secret.String(dump(t, v)))})
			}
		})
	}
	var policy any
	if err := json.Unmarshal([]byte(strings.Replace(allowing("kms:Decrypt", "*", `{"StringEquals":{"aws:username":["a"]}}`), `"Resource"`, `"Sid":"a","Principal":{"AWS":["*"]},"Resource"`, 1)), &policy); err != nil {
		t.Fatal(err)
	}
	confused(policy, func(v any) {
		if turn++; turn%step != 0 {
			return
		}
		text := dump(t, v)
		what := "a policy, " + cut(text)
		ask(what, w.admin.Kagimori, "CompareKeyPolicies", &kagimoriapi.CompareKeyPoliciesRequest{Before: new(text), After: new(everything)})
		ask(what, w.admin.AccessAnalyzer, "ValidatePolicy", &accessanalyzerapi.ValidatePolicyRequest{PolicyDocument: &text, PolicyType: new("RESOURCE_POLICY")})
		ask(what, w.admin.AccessAnalyzer, "CheckNoNewAccess", &accessanalyzerapi.CheckNoNewAccessRequest{NewPolicyDocument: new(secret.String(text)), ExistingPolicyDocument: new(secret.String(everything)), PolicyType: new("IDENTITY_POLICY")})
		ask(what, w.admin.IAM, "SimulateCustomPolicy", &iamapi.SimulateCustomPolicyRequest{PolicyInputList: []string{text}, ActionNames: []string{"kms:Decrypt"}})
	})
	if n < 100 {
		t.Errorf("only %d documents", n)
	}
}
