package org_test

import (
	"encoding/json"
	"testing"

	"github.com/kagimori/kagimori/internal/api/organizationsapi"
)

// Whatever a management policy says: it is refused as malformed or too long, or has an effective policy
// that is JSON, or none.
func FuzzManagementPolicy(f *testing.F) {
	for _, s := range []string{
		`{"tags":{"a":{"tag_key":{"@@assign":"A"},"tag_value":{"@@append":["x"],"@@remove":["y"]}}}}`,
		`{"tags":{"@@operators_allowed_for_child_policies":["@@none"]}}`, `{"tags":{"@@assign":[[1],{}]}}`, `{"@@assign":null}`,
	} {
		f.Add(s)
	}
	w := newWorld(f)
	w.manager().must(&organizationsapi.EnablePolicyTypeRequest{RootId: new(rootID), PolicyType: new(tagPolicy)})
	f.Fuzz(func(t *testing.T, content string) {
		g := *w.World
		g.T = t
		m := (&world{&g, w.api, w.ops}).manager()
		out, err := m.do(&organizationsapi.CreatePolicyRequest{Type: new(tagPolicy), Name: new("p"), Description: new(""), Content: &content})
		if err != nil {
			return
		}
		id := out.(*organizationsapi.CreatePolicyResponse).Policy.PolicySummary.Id
		m.must(&organizationsapi.AttachPolicyRequest{PolicyId: id, TargetId: new(member)})
		out, err = m.do(&organizationsapi.DescribeEffectivePolicyRequest{PolicyType: new(tagPolicy), TargetId: new(member)})
		if err == nil && !json.Valid([]byte(*out.(*organizationsapi.DescribeEffectivePolicyResponse).EffectivePolicy.PolicyContent)) {
			t.Errorf("%s has no effective policy", content)
		}
		m.must(&organizationsapi.DetachPolicyRequest{PolicyId: id, TargetId: new(member)})
		m.must(&organizationsapi.DeletePolicyRequest{PolicyId: id})
	})
}
