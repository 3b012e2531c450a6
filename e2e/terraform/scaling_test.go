package terraform_test

import "testing"

// TestScaling: what changes the size of a group and what is told of it is made, kept, changed and
// removed.
func TestScaling(t *testing.T) {
	t.Parallel()
	w := open(t, "scaling")
	w.apply()
	w.apply("later=true", "instances=2")
	if output[bool](w, "alarmed") {
		t.Error("the policy is still enabled")
	}
	w.destroy()
}
