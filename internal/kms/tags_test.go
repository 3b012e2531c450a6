package kms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

func tags(pairs ...string) []kmsapi.Tag {
	var out []kmsapi.Tag
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kmsapi.Tag{TagKey: &pairs[i], TagValue: &pairs[i+1]})
	}
	return out
}

func manyTags(n int) []kmsapi.Tag {
	var out []kmsapi.Tag
	for i := range n {
		out = append(out, kmsapi.Tag{TagKey: new(fmt.Sprintf("key%03d", i)), TagValue: new("v")})
	}
	return out
}

func TestTags(t *testing.T) {
	root := newWorld(t).root(owner)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Tags: tags("b", "1", "a", "2")}).Arn
	want := func(pairs ...string) {
		t.Helper()
		out := get[kmsapi.ListResourceTagsResponse](root, &kmsapi.ListResourceTagsRequest{KeyId: &key})
		if d := cmp.Diff(tags(pairs...), append([]kmsapi.Tag(nil), out.Tags...)); d != "" || *out.Truncated {
			t.Error(d)
		}
	}
	want("b", "1", "a", "2") // in the order given
	root.must(&kmsapi.TagResourceRequest{KeyId: &key, Tags: tags("c", "3", "b", "4")})
	want("b", "4", "a", "2", "c", "3") // in place, then at the end
	root.must(&kmsapi.TagResourceRequest{KeyId: &key, Tags: tags("B", "")})
	want("b", "4", "a", "2", "c", "3", "B", "") // keys have case
	root.must(&kmsapi.UntagResourceRequest{KeyId: &key, TagKeys: []string{"a", "none", "B"}})
	want("b", "4", "c", "3")
}

func TestTagsRefused(t *testing.T) {
	long := strings.Repeat("x", 257)
	tests := map[string]struct {
		tags          []kmsapi.Tag
		code, message string
		create        string // what CreateKey says, if it differs
	}{
		"twice":       {tags("a", "1", "a", "2"), "TagException", "Duplicate tag keys", ""},
		"reserved":    {tags("aws:x", "1"), "TagException", "Tags beginning with aws: are reserved", ""},
		"reserved AW": {tags("AwS:x", "1"), "TagException", "Tags beginning with aws: are reserved", ""},
		"long value": {tags("a", long), "ValidationException",
			"1 validation error detected: Value '" + long + "' at 'tags.1.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256", ""},
		"long key": {tags(long[:129], ""), "ValidationException",
			"1 validation error detected: Value '" + long[:129] + "' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128", ""},
		"too many": {manyTags(51), "LimitExceededException", "Too many tags", "TagException"},
	}
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	for name, tt := range tests {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(&kmsapi.TagResourceRequest{KeyId: &key, Tags: tt.tags}), tt.code, tt.message)
			if tt.create == "" {
				tt.create = tt.code
			}
			wantErr(t, root.try(&kmsapi.CreateKeyRequest{Tags: tt.tags}), tt.create, tt.message)
		})
	}
	wantErr(t, root.try(&kmsapi.UntagResourceRequest{KeyId: &key, TagKeys: []string{"a", "Aws:x"}}), "TagException", "Tags beginning with aws: are reserved")
	if out := get[kmsapi.ListResourceTagsResponse](root, &kmsapi.ListResourceTagsRequest{KeyId: &key}); len(out.Tags) != 0 {
		t.Errorf("a refused request left %d tags", len(out.Tags))
	}
}

func TestTagLimitCountsWhatIsThere(t *testing.T) {
	root := newWorld(t).root(owner)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Tags: manyTags(50)}).Arn
	root.must(&kmsapi.TagResourceRequest{KeyId: &key, Tags: tags("key000", "new")})
	wantErr(t, root.try(&kmsapi.TagResourceRequest{KeyId: &key, Tags: tags("more", "")}), "LimitExceededException", "Too many tags")
}

func TestListResourceTagsPages(t *testing.T) {
	root := newWorld(t).root(owner)
	key := *root.createKey(&kmsapi.CreateKeyRequest{Tags: manyTags(5)}).Arn
	first := get[kmsapi.ListResourceTagsResponse](root, &kmsapi.ListResourceTagsRequest{KeyId: &key, Limit: new(int32(3))})
	if len(first.Tags) != 3 || !*first.Truncated {
		t.Fatalf("%d tags, truncated %t", len(first.Tags), *first.Truncated)
	}
	rest := get[kmsapi.ListResourceTagsResponse](root, &kmsapi.ListResourceTagsRequest{KeyId: &key, Marker: first.NextMarker})
	if d := cmp.Diff(manyTags(5), append(first.Tags, rest.Tags...)); d != "" || *rest.Truncated {
		t.Error(d)
	}
	root.must(&kmsapi.UntagResourceRequest{KeyId: &key, TagKeys: []string{"key002"}})
	wantErr(t, root.try(&kmsapi.ListResourceTagsRequest{KeyId: &key, Marker: first.NextMarker}), "InvalidMarkerException", "")
}
