package terraform_test

import (
	"slices"
	"testing"
)

// TestSources: what Terraform knows of snapshots and images is made, found as it was made, and
// removed without a rest.
func TestSources(t *testing.T) {
	t.Parallel()
	w := open(t, "sources")
	w.apply()
	if got, want := output[[]string](w, "keys"), []string{"first", "second", "second"}; !slices.Equal(got, want) {
		t.Errorf("keys are %v, want %v", got, want)
	}
	if !output[bool](w, "found") {
		t.Error("the image is not found by its name")
	}
	w.destroy()
}
