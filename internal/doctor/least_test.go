package doctor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// TestTheLeastStatementsLaunch: with what keyview writes for a role, as the page has it or the least,
// volumes of every source launch; and without any one action of the least some do not.
func TestTheLeastStatementsLaunch(t *testing.T) {
	all := corpus(t)
	ids := []string{"001-example1-two-volumes", "008-re-encrypt-both-keys-open", "012-default-key-policy", "022-image-under-old-key"}
	launches := func(id string, edit func(*keyview.Policy, string) (*keyview.Policy, error), without string) bool {
		t.Helper()
		sc := all[id]
		role := arn.Role(sc.Launch.Account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling")
		patch := []format.Edit{{Op: "replace", Path: "/expected", Value: format.Value("null")}}
		for i := range sc.Keys {
			if sc.Keys[i].Manager == format.ManagerAWS {
				continue
			}
			p, err := keyview.Parse([]byte(policy.DefaultKeyPolicy(sc.Keys[i].Account)))
			if err == nil {
				p, err = edit(p, role)
			}
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(p.Bytes()), `"kms:`+without+`"`, `"kms:DescribeKey"`)
			patch = append(patch, format.Edit{Op: "replace", Path: fmt.Sprintf("/keys/%d/policy", i), Value: format.Value(text)})
		}
		changed, err := sc.Patched(patch)
		if err != nil {
			t.Fatal(err)
		}
		return doctor.Check(changed).Told() == doctor.Launches
	}
	for _, id := range ids {
		for name, edit := range map[string]func(*keyview.Policy, string) (*keyview.Policy, error){
			"documented": (*keyview.Policy).AddLinkedRole, "least": (*keyview.Policy).AddLinkedRoleLeast,
			"key user": func(p *keyview.Policy, role string) (*keyview.Policy, error) {
				return p.AddUser(role, keyview.Symmetric)
			},
		} {
			if !launches(id, edit, "") {
				t.Errorf("%s does not launch with the statements %s", id, name)
			}
		}
	}
	for _, action := range []string{"GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "CreateGrant"} {
		if !slices.ContainsFunc(ids, func(id string) bool { return !launches(id, (*keyview.Policy).AddLinkedRoleLeast, action) }) {
			t.Errorf("kms:%s is not needed", action)
		}
	}
}
