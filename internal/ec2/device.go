package ec2

import (
	"errors"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// deviceName reports whether EBS knows a device's name: sdf, /dev/sdf1, xvdba ...
// Source: EC2 User Guide, "Device names for volumes on Amazon EC2 instances".
func deviceName(name string) bool {
	rest := strings.TrimPrefix(name, "/dev/")
	kind := ""
	for _, k := range []string{"xvd", "sd", "hd"} {
		if strings.HasPrefix(rest, k) {
			kind = k
		}
	}
	rest = rest[len(kind):]
	letters := strings.TrimRight(rest, "0123456789")
	digits := rest[len(letters):]
	return kind != "" && (len(letters) == 1 || len(letters) == 2 && kind != "hd") && strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz") == "" &&
		len(digits) <= 2
}

// A mapping is a block device mapping of a request or launch template.
type mapping struct {
	ec2api.BlockDeviceMapping
	template bool // comes from the launch template
}

// A newDevice is a volume that a launch makes.
type newDevice struct {
	name       string
	snapshot   *snapshotRecord // nil: empty
	named      bool            // the mapping itself names the snapshot
	encrypted  *bool
	keyID      string
	perf       performance
	iops, rate int32 // as settled
	deleteToo  bool  // DeleteOnTermination
	initRate   int32 // VolumeInitializationRate; 0: none
	template   bool
}

// devices merges the mappings of the image and of the request: those of a device that the image
// has change what they name, the others add devices, and NoDevice takes one away.
// Source: EC2 User Guide, "Block device mappings".
func (s *Service) devices(tx store.Tx, c *guard.Call, img imageRecord, mappings []mapping) ([]newDevice, error) {
	var out []newDevice
	for _, d := range img.Devices {
		n := newDevice{name: d.Name, deleteToo: d.DeleteOnTermination, perf: performance{Type: d.VolumeType, SizeGiB: d.SizeGiB}}
		n.perf.IOPS, n.perf.Throughput = api.Opt(d.Iops), api.Opt(d.Throughput)
		if d.Encrypted && d.SnapshotID == "" {
			n.encrypted = new(true)
		}
		if d.SnapshotID != "" {
			snap, err := s.imageSnapshot(tx, &img, d.SnapshotID)
			if err != nil {
				return nil, err
			}
			n.from(&snap)
		}
		out = append(out, n)
	}
	if err := namedTwice(mappings); err != nil {
		return nil, err
	}
	for _, m := range mappings {
		name := api.Val(m.DeviceName)
		if name == "" {
			return nil, apierr.New("MissingParameter", "The request must contain the parameter deviceName")
		}
		if !deviceName(name) {
			return nil, apierr.Newf("InvalidBlockDeviceMapping", "Invalid device name %s", name)
		}
		at := slices.IndexFunc(out, func(d newDevice) bool { return d.name == name })
		switch {
		case m.NoDevice != nil && name == img.RootDevice:
			return nil, apierr.Newf("InvalidBlockDeviceMapping", "The root device %s cannot be suppressed", name)
		case m.NoDevice != nil:
			if at >= 0 {
				out = slices.Delete(out, at, at+1)
			}
			continue
		case m.Ebs == nil && strings.HasPrefix(api.Val(m.VirtualName), "ephemeral"):
			continue // instance store volumes: hosts here have none
		case m.Ebs == nil:
			return nil, apierr.Newf("InvalidBlockDeviceMapping", "The device %s has neither an EBS volume nor a virtual name", name)
		case at < 0:
			// Source: EC2 User Guide, "Preserve data when an instance is terminated", Default deletion behavior.
			out = append(out, newDevice{name: name, deleteToo: true, perf: performance{Type: defaultVolumeType}})
			at = len(out) - 1
		}
		out[at].template = m.template
		if err := s.change(tx, c, &out[at], m.Ebs); err != nil {
			return nil, err
		}
	}
	for _, d := range out {
		if d.name == img.RootDevice && (d.perf.Type == "st1" || d.perf.Type == "sc1") {
			return nil, errBootVolume(d.perf.Type)
		}
	}
	return out, settle(out)
}

// errBootVolume refuses hard disks to boot from. Source: Amazon EBS User Guide, "Amazon EBS volume types", Boot volume.
func errBootVolume(kind string) error {
	return apierr.Newf("InvalidBlockDeviceMapping", "Volumes of type %s cannot be used as root volume.", kind)
}

// namedTwice refuses mappings of one origin, request or template, that name a device twice.
func namedTwice(mappings []mapping) error {
	type place struct {
		device   string
		template bool
	}
	seen := map[place]bool{}
	for _, m := range mappings {
		at := place{api.Val(m.DeviceName), m.template}
		if at.device != "" && seen[at] {
			return apierr.Newf("InvalidBlockDeviceMapping", "The device %s is specified more than once", at.device)
		}
		seen[at] = true
	}
	return nil
}

// change applies the Ebs part of a mapping to a device.
func (s *Service) change(tx store.Tx, c *guard.Call, d *newDevice, e *ec2api.EbsBlockDevice) error {
	if id := api.Val(e.SnapshotId); id != "" {
		again := d.snapshot != nil && d.snapshot.ID == id // as the image has it
		d.named, d.perf.SizeGiB = true, 0
		if again {
			d.from(d.snapshot)
		} else if err := s.fill(tx, c, d, id); err != nil {
			return err
		}
	}
	if d.named && e.Encrypted != nil {
		return apierr.Newf("InvalidBlockDeviceMapping", "the encrypted flag cannot be specified since device %s has a snapshot specified.", d.name)
	}
	if e.Encrypted != nil {
		d.encrypted = e.Encrypted
	}
	if e.KmsKeyId != nil {
		d.keyID = *e.KmsKeyId
	}
	if e.DeleteOnTermination != nil {
		d.deleteToo = *e.DeleteOnTermination
	}
	if t := api.Val(e.VolumeType); t != "" && t != d.perf.Type {
		d.perf.Type, d.perf.IOPS, d.perf.Throughput = t, nil, nil // those of the image were for its type
	}
	if e.Iops != nil {
		d.perf.IOPS = e.Iops
	}
	if e.Throughput != nil {
		d.perf.Throughput = e.Throughput
	}
	if e.VolumeSize != nil {
		d.perf.SizeGiB = int64(*e.VolumeSize)
	}
	if d.perf.SizeGiB == 0 && d.snapshot == nil {
		return apierr.New("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if d.snapshot != nil && d.perf.SizeGiB < d.snapshot.SizeGiB {
		return apierr.Newf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB",
			d.perf.SizeGiB, d.snapshot.ID, d.snapshot.SizeGiB)
	}
	d.initRate = api.Val(e.VolumeInitializationRate)
	if err := checkInitRate(e.VolumeInitializationRate, d.snapshot != nil); err != nil {
		return err
	}
	return checkPlace(e)
}

// fill has a device made from a snapshot; "" for none.
func (s *Service) fill(tx store.Tx, c *guard.Call, d *newDevice, id string) error {
	if id == "" {
		return nil
	}
	snap, err := s.lookupSnapshot(tx, c, id)
	if err != nil {
		return err
	}
	d.from(&snap)
	return s.ready(&snap)
}

// from has a device made from a snapshot.
func (d *newDevice) from(snap *snapshotRecord) {
	d.snapshot = snap
	if d.perf.SizeGiB == 0 {
		d.perf.SizeGiB = snap.SizeGiB
	}
}

func settle(devices []newDevice) error {
	for i := range devices {
		d := &devices[i]
		var err error
		if d.iops, d.rate, err = d.perf.settle(); err != nil {
			return err
		}
	}
	return nil
}

// sourceOf describes what a volume is made from.
func sourceOf(snap *snapshotRecord, account string) launch.Source {
	if snap == nil {
		return launch.Source{Kind: launch.Empty}
	}
	src := launch.Source{Kind: launch.Snapshot, SnapshotID: snap.ID, Owned: snap.Owner == account, Encrypted: snap.Encrypted}
	if snap.Encrypted {
		src.KeyARN, src.ContextID, src.DataKeyID, src.WrappedKey = snap.KeyARN, snap.ContextID, snap.DataKeyID, snap.WrappedKey
	}
	return src
}

// device is a new volume as a launch sees it.
func (d *newDevice) device(volumeID, account string) launch.Device {
	return launch.Device{
		Name: d.name, VolumeID: volumeID, Encrypted: d.encrypted, KmsKeyID: d.keyID, Source: sourceOf(d.snapshot, account),
		SizeGiB: d.perf.SizeGiB, DeleteOnTermination: d.deleteToo,
	}
}

// parameterError is EC2's refusal of parameters that package launch found not to go together.
func parameterError(err error) error {
	if p, ok := errors.AsType[*launch.ParameterError](err); ok {
		return apierr.New(p.Code, p.Message)
	}
	return err
}
