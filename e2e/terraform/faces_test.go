package terraform_test

import "testing"

// TestFaces: network interfaces of their own are made, attached, changed, imported and removed.
func TestFaces(t *testing.T) {
	t.Parallel()
	w := open(t, "faces")
	w.apply()
	if got := output[string](w, "address"); got != "10.0.1.50" {
		t.Errorf("the instance has %s", got)
	}
	w.apply("later=true")
	id := output[string](w, "first")
	w.run("state", "rm", "aws_network_interface.first")
	w.run("import", "-no-color", "-var=later=true", "aws_network_interface.first", id)
	w.destroy()
}
