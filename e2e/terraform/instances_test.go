package terraform_test

import "testing"

// TestInstances: an instance with all that belongs to it, a Spot Instance and a fleet are made, found
// as they were made, and removed without a rest.
func TestInstances(t *testing.T) {
	t.Parallel()
	w := open(t, "instances")
	w.apply()
	w.destroy()
}
