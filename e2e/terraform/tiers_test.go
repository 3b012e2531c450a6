package terraform_test

import (
	"slices"
	"testing"
)

// TestTiers: the VPC of public, private and database subnets with all that leads to and from them is made, found again,
// changed in place, imported and removed.
func TestTiers(t *testing.T) {
	t.Parallel()
	w := open(t, "tiers")
	w.apply()
	if got := output[[]bool](w, "checks"); slices.Contains(got, false) || len(got) != 5 {
		t.Errorf("checks: %v", got)
	}
	w.apply("later=true")
	if got := output[[]bool](w, "checks"); slices.Contains(got, false) || len(got) != 5 {
		t.Errorf("checks of the changed one: %v", got)
	}
	ids := output[map[string]string](w, "ids")
	if len(ids) < 8 {
		t.Errorf("ids: %v", ids)
	}
	for address, id := range ids {
		w.run("state", "rm", address)
		w.run("import", "-no-color", "-var=later=true", address, id)
	}
	out, code := w.try("plan", "-no-color", "-detailed-exitcode", "-var=later=true")
	if code != 0 {
		t.Errorf("the plan after the import ended with %d:\n%s", code, out)
	}
	w.destroy()
}
