package terraform_test

import (
	"slices"
	"testing"
)

// TestNetwork: instances have public addresses as their subnet or they themselves say, and what of their network
// was made is changed in place.
func TestNetwork(t *testing.T) {
	t.Parallel()
	w := open(t, "network")
	w.apply()
	if got, want := output[[]bool](w, "public"), []bool{true, false, true}; !slices.Equal(got, want) {
		t.Errorf("public addresses: %v, want %v", got, want)
	}
	w.apply("later=true")
	w.destroy()
}
