package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// stateVersion is the version of the JSON form of a State. Change it together with anything
// that changes program: a State counts the ops of the program it was made for.
const stateVersion = 1

type stateJSON struct {
	Version   int
	Spec      Spec
	Volumes   []Volume
	Completed int
	Fail      *Fail      `json:",omitempty"`
	Undone    int        `json:",omitempty"`
	Left      []leftover `json:",omitempty"`
}

// MarshalJSON writes the State so that another process can go on with it.
func (s State) MarshalJSON() ([]byte, error) {
	return json.Marshal(stateJSON{stateVersion, s.spec, s.vols, s.pc, s.fail, s.undone, s.left})
}

// UnmarshalJSON reads what MarshalJSON wrote. It refuses, wrapping [ErrSpec], anything that the
// machine could not have written, an unknown version included.
func (s *State) UnmarshalJSON(data []byte) error {
	var j stateJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return fmt.Errorf("%w: %w", ErrSpec, err)
	}
	if j.Version != stateVersion {
		return specError("state version %d, want %d", j.Version, stateVersion)
	}
	n := State{j.Spec, j.Volumes, j.Completed, j.Fail, j.Undone, j.Left}
	if err := n.check(); err != nil {
		return err
	}
	*s = n
	return nil
}

// check reports whether New and Next could have led here.
func (s State) check() error {
	if s.spec.Operation == "" && len(s.spec.Devices)+len(s.vols)+s.pc+s.undone+len(s.left) == 0 &&
		s.fail == nil {
		return nil // the zero State
	}
	start, err := New(s.spec)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpec, err)
	}
	if len(s.vols) != len(start.vols) {
		return specError("%d volumes for %d devices", len(s.vols), len(start.vols))
	}
	for i, v := range s.vols {
		want := start.vols[i]
		fixed := want.KeyARN == "" || want.KeyARN == v.KeyARN
		if v.Device != want.Device || v.VolumeID != want.VolumeID || v.Choice != want.Choice || !fixed {
			return specError("volume %d does not belong to its device", i)
		}
	}
	ops := program(s.spec, s.vols)
	if s.pc < 0 || s.pc > len(ops) {
		return specError("%d steps completed of %d", s.pc, len(ops))
	}
	for i, o := range ops {
		if o.Kind == StepResolveKey && isKeyARN(s.vols[o.Device].KeyARN) != (i < s.pc) {
			return specError("key of volume %d is known too early or not at all", o.Device)
		}
	}
	back := undoing(ops[:s.pc])
	switch {
	case s.fail == nil && s.undone != 0, s.undone < 0, s.undone > len(back):
		return specError("%d steps undone of %d", s.undone, len(back))
	case s.fail != nil && s.pc == len(ops):
		return specError("failed after the last step")
	}
	for _, l := range s.left {
		if !slices.Contains(ops[:s.pc], l.Op) && !slices.Contains(back[:s.undone], l.Op) {
			return specError("left over what was never done")
		}
	}
	return nil
}
