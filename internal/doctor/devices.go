package doctor

import (
	"fmt"
	"slices"

	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// Ids that stand for what EC2 chooses at the launch.
const (
	instanceID    = "i-0123456789abcdef0"
	newVolume     = "vol-0123456789abcdef0"
	newSnapshot   = "snap-0123456789abcdef0"
	sourceContext = "vol-0fedcba9876543210" // the volume that a snapshot was made of
)

// A device is one volume of a launch, or one copy.
type device struct {
	launch.Device
	// depends are facts that decide about the key.
	depends []string
}

// operation is what EC2 is asked to do. Auto Scaling runs instances.
func (w *world) operation() launch.Operation {
	if w.sc.Launch.Operation == format.AutoScalingLaunch {
		return launch.RunInstances
	}
	return launch.Operation(w.sc.Launch.Operation)
}

// spec describes the launch without its devices. depends are facts that its defaults depend on.
func (w *world) spec() launch.Spec {
	s := launch.Spec{Operation: w.operation(), Region: w.sc.Region, Account: w.sc.Launch.Account, InstanceID: instanceID}
	if a, ok := w.accounts[s.Account]; ok {
		e := a.EBS[s.Region]
		s.Defaults = launch.Defaults{EncryptionByDefault: e.EncryptionByDefault, DefaultKey: e.DefaultKmsKeyID}
	}
	return s
}

// existing are the volumes that are there before the launch.
func (w *world) existing() []device {
	var out []device
	for i, v := range w.sc.Launch.ExistingVolumes {
		d := device{Device: launch.Device{Name: v.Device, VolumeID: v.ID, Source: launch.Source{Kind: launch.Existing}}}
		if v.Key != nil {
			d.Source.Encrypted, d.Source.KeyARN = true, *v.Key
		}
		w.depend(&d, fmt.Sprintf("/launch/existingVolumes/%d/key", i))
		out = append(out, d)
	}
	return out
}

// depend notes that a device depends on the fact at a place, if that is not known.
func (w *world) depend(d *device, path string) {
	if why, ok := w.unknown(path); ok {
		d.depends = append(d.depends, why)
	}
}

// devices are those of a template: the image's, over which the template's mappings go. unseen tells
// why there may be others.
func (w *world) devices(i int) (out []device, unseen []string) {
	t := &w.sc.Launch.Templates[i]
	at := func(name string) *device {
		j := slices.IndexFunc(out, func(d device) bool { return d.Name == name })
		if j < 0 {
			j = len(out)
			id := newVolume
			if w.operation() == launch.CopySnapshot {
				id = newSnapshot
			}
			out = append(out, device{Device: launch.Device{Name: name, Source: launch.Source{Kind: launch.Empty}, VolumeID: id}})
		}
		return &out[j]
	}
	path := fmt.Sprintf("/launch/templates/%d", i)
	if why, ok := w.unknown(path + "/imageId"); ok {
		unseen = append(unseen, why)
	} else if k := w.imageAt(t); k >= 0 {
		if why, ok := w.unknown(fmt.Sprintf("/images/%d/devices", k)); ok {
			unseen = append(unseen, why)
		}
		for _, d := range w.sc.Images[k].Devices {
			w.fill(at(d.Device), d.SnapshotID)
		}
	}
	for j, b := range t.BlockDevices {
		d := at(b.Device)
		here := fmt.Sprintf("%s/blockDevices/%d/ebs", path, j)
		d.Encrypted, d.KmsKeyID, d.SizeGiB = b.EBS.Encrypted, b.EBS.KmsKeyID, int64(b.EBS.VolumeSize)
		w.depend(d, here+"/encrypted")
		w.depend(d, here+"/kmsKeyId")
		if why, ok := w.unknown(here + "/snapshotId"); ok {
			d.depends = append(d.depends, why)
		} else if b.EBS.SnapshotID != "" {
			w.fill(d, b.EBS.SnapshotID)
		}
	}
	return out, unseen
}

// imageAt is the place of a template's image, or -1.
func (w *world) imageAt(t *format.Template) int {
	return slices.IndexFunc(w.sc.Images, func(m format.Image) bool { return t.ImageID != nil && m.ID == *t.ImageID })
}

func (w *world) image(t *format.Template) *format.Image {
	if i := w.imageAt(t); i >= 0 {
		return &w.sc.Images[i]
	}
	return nil
}

// fill has a device made from a snapshot.
func (w *world) fill(d *device, snapshot string) {
	d.Source = launch.Source{Kind: launch.Snapshot, SnapshotID: snapshot}
	for i, s := range w.sc.Snapshots {
		if s.ID != snapshot {
			continue
		}
		d.Source.Owned, d.Source.Encrypted = s.Owner == w.sc.Launch.Account, s.Encrypted
		d.Source.ContextID = sourceContext
		if s.Key != nil {
			d.Source.KeyARN = *s.Key
		}
		w.depend(d, fmt.Sprintf("/snapshots/%d/key", i))
		w.depend(d, fmt.Sprintf("/snapshots/%d/encrypted", i))
	}
}

// shared reports whether the account of the launch may use the image of a template.
func (w *world) shared(t *format.Template) bool {
	m := w.image(t)
	return m == nil || m.Owner == w.sc.Launch.Account || slices.Contains(m.SharedWith, w.sc.Launch.Account) || slices.Contains(m.SharedWith, "all")
}

// choices are the ways in which the key of a device may be chosen, given what is not known of the
// account's defaults: one if that makes no difference.
func (w *world) choices(spec launch.Spec, d *device) (depends []string) {
	a, ok := w.accounts[spec.Account]
	if !ok {
		return nil
	}
	base := fmt.Sprintf("/accounts/%d/ebs/%s", a.at, spec.Region)
	_, stated := a.EBS[spec.Region]
	choose := func(byDefault bool, key string) (launch.Choice, bool) {
		s := spec
		s.Defaults = launch.Defaults{EncryptionByDefault: byDefault, DefaultKey: key}
		s.Devices = []launch.Device{d.Device}
		st, err := launch.New(s)
		if err != nil {
			return launch.Choice{}, false
		}
		return st.Volumes()[0].Choice, true
	}
	on, ok1 := choose(true, spec.Defaults.DefaultKey)
	off, ok2 := choose(false, spec.Defaults.DefaultKey)
	if why, unknown := w.unknown(base + "/encryptionByDefault"); (unknown || !stated) && ok1 && ok2 && on != off {
		if !unknown {
			why = "whether account " + spec.Account + " encrypts by default in " + spec.Region
		}
		depends = append(depends, why)
	}
	now, ok3 := choose(spec.Defaults.EncryptionByDefault, spec.Defaults.DefaultKey)
	if why, unknown := w.unknown(base + "/defaultKmsKeyId"); (unknown || !stated) && ok3 && now.ChosenBy == launch.ByAccountDefault {
		if !unknown {
			why = "the default key of account " + spec.Account + " in " + spec.Region
		}
		depends = append(depends, why)
	}
	return depends
}
