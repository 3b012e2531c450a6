package terraform_test

import "testing"

// TestVolumes: an account's settings hold for volumes that say nothing, and a volume is modified in place.
func TestVolumes(t *testing.T) {
	t.Parallel()
	w := open(t, "volumes")
	w.apply()
	type volume struct {
		Key  bool   `json:"key"`
		Size int    `json:"size"`
		Type string `json:"type"`
		IOPS int    `json:"iops"`
	}
	if got, want := output[volume](w, "volume"), (volume{true, 10, "gp2", 100}); got != want {
		t.Errorf("the volume is %+v, want %+v", got, want)
	}
	w.env = append(w.env, "TF_VAR_size=40", "TF_VAR_type=gp3")
	w.apply()
	if got, want := output[volume](w, "volume"), (volume{true, 40, "gp3", 3000}); got != want {
		t.Errorf("the modified volume is %+v, want %+v", got, want)
	}
	w.destroy()
}
