package tfplan

import (
	"slices"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// ofImage reports whether the image of a template may have a device of a name: what is left out and is not there
// changes nothing.
func (b *builder) ofImage(i int, name string) bool {
	if slices.Contains(b.plain, i) {
		return false
	}
	id := b.sc.Launch.Templates[i].ImageID
	if id == nil {
		return true
	}
	for _, im := range b.sc.Images {
		if im.ID == *id && len(im.Devices) > 0 {
			return slices.ContainsFunc(im.Devices, func(d format.ImageDevice) bool { return d.Device == name })
		}
	}
	return true
}

// rootNames are what images call their root device.
var rootNames = []string{"/dev/xvda", "/dev/sda1", "/dev/sda", "xvda"}

// addRoots adds the root device of plain images where the template does not map it: encryption by
// default is about that one too.
func (b *builder) addRoots() {
	for _, i := range b.plain {
		t := &b.sc.Launch.Templates[i]
		if !slices.ContainsFunc(t.BlockDevices, func(d format.BlockDevice) bool { return slices.Contains(rootNames, d.Device) }) {
			t.BlockDevices = append(t.BlockDevices, format.BlockDevice{Device: rootNames[0]})
		}
	}
}
