package terraform_test

import "testing"

// TestLifecycle: hooks, a warm pool, load balancers and a launch configuration are made, kept, changed
// and removed; a change of the template begins an instance refresh, and the group is removed in the
// middle of it.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	w := open(t, "lifecycle")
	w.apply()
	w.apply("later=true")
	w.apply("later=true", "pool=false")
	w.apply("later=true", "pool=false", "user_data=two")
	if v := output[int](w, "version"); v != 2 {
		t.Errorf("the template is at version %d, want 2", v)
	}
	w.destroy()
}
