package kms_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/trail"
)

// Records of operations that answer nothing name the key all the same, and those about aliases name both.
// Source: AWS KMS Developer Guide, "CreateAlias", "UpdateAlias" and others of the log examples.
func TestRecordsNameTheKey(t *testing.T) {
	w := newWorld(t)
	f := newFixture(w, "Enabled")
	tags, id := []kmsapi.Tag{{TagKey: new("a"), TagValue: new("b")}}, f.key[strings.LastIndexByte(f.key, '/')+1:]
	for _, in := range []any{
		&kmsapi.DisableKeyRequest{KeyId: &f.key}, &kmsapi.EnableKeyRequest{KeyId: &id},
		&kmsapi.DisableKeyRotationRequest{KeyId: &f.key}, &kmsapi.EnableKeyRotationRequest{KeyId: &f.key},
		&kmsapi.TagResourceRequest{KeyId: &f.key, Tags: tags}, &kmsapi.UntagResourceRequest{KeyId: &f.key, TagKeys: []string{"a"}},
		&kmsapi.UpdateKeyDescriptionRequest{KeyId: &f.key, Description: new("d")},
		&kmsapi.CreateAliasRequest{AliasName: new("alias/new"), TargetKeyId: &f.spare},
		&kmsapi.UpdateAliasRequest{AliasName: new("alias/new"), TargetKeyId: &f.key}, &kmsapi.DeleteAliasRequest{AliasName: new("alias/new")},
		&kmsapi.RevokeGrantRequest{KeyId: &f.key, GrantId: &f.grant},
	} {
		f.root.must(in)
	}
	alias := f.key[:strings.LastIndex(f.key, ":")] + ":alias/new"
	for op, want := range map[string]struct {
		key       string
		resources []string
	}{
		"DisableKey": {f.key, []string{f.key}}, "EnableKey": {f.key, []string{f.key}}, "DisableKeyRotation": {f.key, []string{f.key}},
		"EnableKeyRotation": {f.key, []string{f.key}}, "TagResource": {f.key, []string{f.key}}, "UntagResource": {f.key, []string{f.key}},
		"UpdateKeyDescription": {f.key, []string{f.key}}, "RevokeGrant": {f.key, []string{f.key}},
		"CreateAlias": {f.spare, []string{f.spare, alias}}, "UpdateAlias": {f.key, []string{alias, f.spare, f.key}}, "DeleteAlias": {f.key, []string{alias, f.key}},
	} {
		rec := w.records(trail.Filter{EventName: op})[0]
		var response map[string]string
		check(t, json.Unmarshal(rec.ResponseElements, &response))
		var resources []string
		for _, r := range rec.Resources {
			resources = append(resources, r.ARN)
		}
		if len(response) != 1 || response["keyId"] != want.key || !slices.Equal(resources, want.resources) {
			t.Errorf("%s: %v of %q, want %s of %q", op, response, resources, want.key, want.resources)
		}
	}
	wantErr(t, f.root.try(&kmsapi.DeleteAliasRequest{AliasName: new("alias/new")}), "NotFoundException", "*")
	if rec := w.records(trail.Filter{EventName: "DeleteAlias"})[0]; rec.ErrorCode == "" || rec.ResponseElements != nil {
		t.Errorf("a refusal has the answer %s", rec.ResponseElements)
	}
}
