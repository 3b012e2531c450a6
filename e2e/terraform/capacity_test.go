package terraform_test

import "testing"

// TestCapacity: a Capacity Reservation and a Dedicated Host are made with instances that use them, and removed after
// these.
func TestCapacity(t *testing.T) {
	t.Parallel()
	w := open(t, "capacity")
	w.apply()
	w.destroy()
}
