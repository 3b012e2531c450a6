package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// patched are the fixes of a set behind a failed launch, with the key policy that they make.
func (c *client) patched(t *testing.T, instance, set string) (policy string, fixes int) {
	t.Helper()
	var out struct {
		Authorizations []struct {
			Evaluations []struct {
				EvaluatedEffect string
				Explanation     []string
				Layers          []struct{ PolicyType, State string }
				Fixes           []struct {
					Name, Kind, Run, Patched string
					Opens                    []string
				}
			}
		}
	}
	if status, body := c.kagimori(t, "ExplainResource", map[string]string{"ResourceId": instance}, &out); status != http.StatusOK {
		t.Fatalf("ExplainResource of %s: %d %s", instance, status, body)
	}
	for _, a := range out.Authorizations {
		for _, e := range a.Evaluations {
			for _, f := range e.Fixes {
				if f.Name != set {
					continue
				}
				if f.Kind != "key-policy" || len(f.Opens) == 0 || !strings.Contains(f.Run, "kms:PutKeyPolicy on the key in account "+c.account) {
					t.Errorf("fix %+v", f)
				}
				policy, fixes = f.Patched, fixes+1
			}
			if len(e.Fixes) > 0 && (len(e.Layers) == 0 || e.EvaluatedEffect != "IMPLICIT_DENY") {
				t.Errorf("evaluation %+v", e)
			}
		}
	}
	return policy, fixes
}

func TestS19_StatementsAreAddedWithoutChangingExistingOnes(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"least", "documented"} {
		t.Run(set, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			app, other := c.user(t, "app"), c.user(t, "other")
			foreign := `{ "Sid" : "Ours",   "Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + c.account + `:user/app"},` + "\n\t" + `"Action":["kms:DescribeKey"],"Resource":"*"}`
			second := `{"Sid":"Ours too","Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:ScheduleKeyDeletion","Resource":"*"}`
			before := "{\n  \"Version\":\"2012-10-17\",\n  \"Statement\": [\n    " + seed.Full(seed.Root(c.account)) + ",\n    " + foreign + ",\n    " + second + "\n  ]\n}"
			key := c.key(t, before)
			g := c.group(t, 1, rootDevice(key))
			failed := g.launchFail(t, c, key)
			why := c.why(t, failed).Evaluations[0]
			if why.DecidedBy != "IDENTITY_BASED_POLICY" || why.layer(t, "IDENTITY_BASED_POLICY").State != "NEEDED" || why.layer(t, "RESOURCE_BASED_POLICY").State != "DELEGATES" {
				t.Errorf("decided by %s: %+v", why.DecidedBy, why.Layers)
			}
			if s := why.layer(t, "RESOURCE_BASED_POLICY").missed(t, "Ours too"); s.Reason != "ACTION" || s.EvaluatedEffect != "DENY" || s.Policy != key || s.Condition != nil {
				t.Errorf("the foreign statement: %+v", s)
			}
			why.wantSets(t, "key-policy")

			// The product's addition.
			after, n := c.patched(t, failed, set)
			if n != 2 {
				t.Fatalf("the set %q has %d fixes, want 2", set, n)
			}
			end := strings.LastIndex(before, "}\n  ]") + 1 // of the last statement
			if !strings.HasPrefix(after, before[:end]) || !strings.HasSuffix(after, before[end:]) || after == before {
				t.Fatalf("existing statements changed:\n%s\nbecame\n%s", before, after)
			}
			must(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: &after}))(t)
			if got := *must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy; got != after {
				t.Errorf("the policy came back as\n%s", got)
			}
			g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})

			// Access of the old principals is unchanged.
			must(app.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t)
			refused(other.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t, "AccessDeniedException", "kms:DescribeKey")
			refused(app.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}))(t, "AccessDeniedException", "kms:Encrypt")
			refused(c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key}))(t, "AccessDeniedException", "with an explicit deny in a resource-based policy")

			// One that would lock the account out is refused unless that is asked for.
			locked := seed.Policy(seed.Use(seed.Role(c.account)))
			refused(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: &locked}))(t, "MalformedPolicyDocumentException")
			must(c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key, Policy: &locked, BypassPolicyLockoutSafetyCheck: true}))(t)
		})
	}
}
