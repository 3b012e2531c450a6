package tfplan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

// sources are what volumes are made of.
type sources struct {
	images, snapshots, volumes map[string]*resource // by id, also ids that stand for one
	shared                     map[string][]string  // accounts that an image or snapshot is shared with, by id
}

// A snapshot is one as far as it is known.
type snapshot struct {
	format.Snapshot
	key     keyChoice
	unknown string // why it is not known whether it is encrypted
	at      string
}

// An image is one as far as it is known.
type image struct {
	format.Image
	snapshots []snapshot
	unknown   string // why its devices are not known
	outside   string // why nothing is known of it: it is not in the file
	at        string
}

// A keyChoice is a key that a plan names. With why it is not known which.
type keyChoice struct {
	name    string // as written, or what stands for it
	why     string
	h       *home
	assumed string
}

func (m *model) readSources() {
	s := &sources{images: map[string]*resource{}, snapshots: map[string]*resource{}, volumes: map[string]*resource{}, shared: map[string][]string{}}
	m.sources = s
	fill := func(to map[string]*resource, attr string, want func(string) bool) {
		for _, r := range m.resources {
			if want(r.kind()) {
				if id := m.identity(r, attr); id.s != "" {
					to[id.s] = r
				}
			}
		}
	}
	fill(s.images, "id", wantImage)
	fill(s.snapshots, "id", wantSnap)
	fill(s.volumes, "id", wantVolume)
	for _, r := range m.of("aws_ami_launch_permission") {
		if id := m.text(r, wantImage, "image_id"); id.s != "" {
			s.shared[id.s] = addAccounts(s.shared[id.s], r.known("account_id"))
		}
	}
	for _, r := range m.of("aws_snapshot_create_volume_permission") {
		if id := m.text(r, wantSnap, "snapshot_id"); id.s != "" {
			s.shared[id.s] = addAccounts(s.shared[id.s], r.known("account_id"))
		}
	}
}

// keyOf is the key in an attribute of a resource.
func (m *model) keyOf(r *resource, path ...any) keyChoice {
	t := m.text(r, wantKey, path...)
	return keyChoice{t.s, t.why, m.homeOf(r), t.assumed}
}

// fallback is the key of a copy or volume that names none: the default key.
func (m *model) fallback(r *resource) keyChoice {
	h := m.homeOf(r)
	d := m.defaultsOf(h)
	return keyChoice{name: cmp.Or(d.key, awsManaged), why: d.unknownKey, h: h}
}

// snapshotOf is the snapshot of an id, for the account of h.
func (m *model) snapshotOf(id string, h *home) snapshot {
	out := snapshot{Snapshot: format.Snapshot{ID: id, Owner: h.account, SharedWith: slices.Clone(m.sources.shared[id])}}
	r := m.sources.snapshots[id]
	if r == nil {
		out.unknown = "snapshot " + id + " is not in " + m.words.File
		return out
	}
	return m.describe(r, out, 0)
}

// describe fills in a snapshot from its resource, and from what that was made of.
func (m *model) describe(r *resource, out snapshot, depth int) snapshot {
	out.at, out.Owner = r.addr, m.owner(r)
	own := m.flag(r, "encrypted")
	switch {
	case r.kind() == "aws_ebs_snapshot_copy":
		source := m.text(r, wantSnap, "source_snapshot_id")
		from := snapshot{unknown: "snapshot " + source.s + " is not in " + m.words.File}
		if s := m.sources.snapshots[source.s]; s != nil && depth < maxDepth {
			from = m.describe(s, from, depth+1)
		}
		on := own.v != nil && *own.v
		if !on && m.defaultsOf(m.homeOf(r)).on == nil && !from.Encrypted {
			from.unknown = cmp.Or(from.unknown, m.defaultsOf(m.homeOf(r)).unknownOn)
		}
		out.Encrypted = on || from.Encrypted || m.defaultsOf(m.homeOf(r)).isOn()
		if out.unknown = own.why; !out.Encrypted {
			out.unknown = cmp.Or(out.unknown, from.unknown)
		} else if out.key = m.keyOf(r, "kms_key_id"); out.key.name == "" && out.key.why == "" {
			out.key = m.fallback(r)
		}
	case own.v != nil || own.why != "":
		out.unknown = own.why
		if out.Encrypted = own.v != nil && *own.v; out.Encrypted {
			if out.key = m.keyOf(r, "kms_key_id"); out.key.name == "" {
				out.key.why = cmp.Or(out.key.why, "the key of "+r.addr+" is not in "+m.words.File)
			}
		}
		if r.kind() == "aws_ebs_snapshot" && own.why != "" {
			return m.fromVolume(r, out)
		}
	case r.kind() == "aws_ebs_snapshot":
		return m.fromVolume(r, out)
	default:
		out.unknown = "whether " + r.addr + " is encrypted is not known before apply"
	}
	return out
}

// fromVolume has a snapshot encrypted as its volume is.
func (m *model) fromVolume(r *resource, out snapshot) snapshot {
	id := m.text(r, wantVolume, "volume_id")
	v := m.sources.volumes[id.s]
	if v == nil {
		out.unknown = cmp.Or(id.why, "volume "+id.s+" is not in "+m.words.File)
		return out
	}
	on, key, why := m.volume(v)
	out.Encrypted, out.key, out.unknown = on, key, why
	return out
}

// volume tells how a volume of the plan is encrypted.
func (m *model) volume(r *resource) (on bool, key keyChoice, unknown string) {
	own := m.flag(r, "encrypted")
	if own.why != "" {
		return false, key, own.why
	}
	on = own.v != nil && *own.v
	if r.action == actionNone {
		if key = m.keyOf(r, "kms_key_id"); on && key.name == "" {
			key.why = cmp.Or(key.why, "the key of "+r.addr+" is not in "+m.words.File)
		}
		return on, key, ""
	}
	if id := m.text(r, wantSnap, "snapshot_id"); id.s != "" || id.why != "" {
		if s := m.snapshotOf(id.s, m.homeOf(r)); s.Encrypted {
			on = true
			if s.Owner == m.homeOf(r).account {
				key = s.key
			}
		} else if !on {
			unknown = cmp.Or(id.why, s.unknown)
		}
	}
	if d := m.defaultsOf(m.homeOf(r)); !on && d.on == nil {
		return false, key, cmp.Or(unknown, d.unknownOn)
	} else if d.isOn() {
		on, unknown = true, ""
	}
	if k := m.keyOf(r, "kms_key_id"); k.name != "" || k.why != "" {
		key = k
	} else if on && key.name == "" && key.why == "" {
		key = m.fallback(r)
	}
	return on, key, unknown
}

// imageOf is the image of an id, as the account of h sees it.
func (m *model) imageOf(id string, h *home) image {
	out := image{Image: format.Image{ID: id, Owner: h.account, SharedWith: slices.Clone(m.sources.shared[id])}}
	r := m.sources.images[id]
	if r == nil {
		out.outside = "image " + id + " is not in " + m.words.File
		return out
	}
	out.at = r.addr
	out.Owner = m.owner(r)
	if r.mode == "data" && out.Owner != h.account {
		out.SharedWith = addAccounts(out.SharedWith, m.homeOf(r).account) // who sees it may use it
	}
	switch r.kind() {
	case "data.aws_ami":
		m.devicesOf(r, &out, "block_device_mappings", "ebs")
	case "aws_ami_copy":
		m.copied(r, &out)
	default:
		m.devicesOf(r, &out, "ebs_block_device", "")
	}
	return out
}

// devicesOf reads the devices of an image. In a data source what they say of the volume is below ebs.
func (m *model) devicesOf(r *resource, out *image, attr, below string) {
	n, ok := r.attr(attr).length()
	if !ok || n == 0 {
		out.unknown = r.addr + "." + attr + " is not known before apply"
		return
	}
	for i := range n {
		path := []any{attr, i}
		device := r.known(attr, i, "device_name")
		if below != "" {
			path = append(path, below)
		}
		id := m.text(r, wantSnap, append(slices.Clone(path), "snapshot_id")...)
		if device == "" || id.absent() {
			continue // an ephemeral or empty device
		}
		if id.s == "" {
			id.s = newID("snap-", place(r, path))
		}
		s := snapshot{Snapshot: format.Snapshot{ID: id.s, Owner: out.Owner, SharedWith: slices.Clone(out.SharedWith)}, at: r.addr}
		if known := m.sources.snapshots[id.s]; known != nil {
			s = m.describe(known, s, 0)
		} else if on := m.flag(r, append(slices.Clone(path), "encrypted")...); on.v != nil {
			if s.Encrypted = *on.v; s.Encrypted {
				s.key = keyChoice{why: "the key of snapshot " + id.s + " is not in " + m.words.File, h: m.homeOf(r)}
			}
		} else {
			s.unknown = cmp.Or(on.why, id.why, "snapshot "+id.s+" is not in "+m.words.File)
		}
		out.Devices = append(out.Devices, format.ImageDevice{Device: device, SnapshotID: id.s})
		out.snapshots = append(out.snapshots, s)
	}
	if len(out.Devices) == 0 {
		out.unknown = r.addr + " has no device that is made of a snapshot"
	}
}

// copied makes the devices of a copy of an image from those of the image. A copy of an encrypted
// snapshot is encrypted, and one without a key of its own has the default key.
func (m *model) copied(r *resource, out *image) {
	if n, ok := r.attr("ebs_block_device").length(); ok && n > 0 && r.action == actionNone {
		m.devicesOf(r, out, "ebs_block_device", "")
		encrypted := m.flag(r, "encrypted")
		for i := range out.snapshots {
			if s := &out.snapshots[i]; s.at == r.addr && encrypted.v != nil && *encrypted.v {
				s.Encrypted, s.unknown, s.key = true, "", m.copyKey(r)
			}
		}
		return
	}
	id := m.text(r, wantImage, "source_ami_id")
	from := m.imageOf(id.s, m.homeOf(r))
	if id.s == out.ID || from.unknown != "" || from.outside != "" {
		out.unknown = cmp.Or(id.why, from.unknown, from.outside, r.addr+" is a copy of itself")
		return
	}
	own := m.flag(r, "encrypted")
	for i, s := range from.snapshots {
		c := snapshot{Snapshot: format.Snapshot{ID: newID("snap-", r.addr+from.Devices[i].Device), Owner: out.Owner, SharedWith: []string{}}, at: r.addr}
		if c.Encrypted = s.Encrypted || own.v != nil && *own.v || m.defaultsOf(m.homeOf(r)).isOn(); c.Encrypted {
			c.key = m.copyKey(r)
		} else {
			c.unknown = cmp.Or(own.why, s.unknown, m.defaultsOf(m.homeOf(r)).unknownOn)
		}
		out.Devices = append(out.Devices, format.ImageDevice{Device: from.Devices[i].Device, SnapshotID: c.ID})
		out.snapshots = append(out.snapshots, c)
	}
}

func (m *model) copyKey(r *resource) keyChoice {
	if k := m.keyOf(r, "kms_key_id"); k.name != "" || k.why != "" {
		return k
	}
	return m.fallback(r)
}

// awsManaged is the alias of the AWS managed key, which is the default key until another is set.
const awsManaged = "alias/aws/ebs"

// ebsDefaults are settings of an account in a region.
type ebsDefaults struct {
	on                    *bool
	key                   string
	unknownOn, unknownKey string
	at                    string
}

func (d ebsDefaults) isOn() bool { return d.on != nil && *d.on }

func (m *model) defaultsOf(h *home) ebsDefaults {
	if d, ok := m.defaults[region{h.account, h.region}]; ok {
		return d
	}
	switch said := m.opt.DefaultEncryption; said {
	case "":
	case EncryptionOff:
		return ebsDefaults{on: new(false), key: awsManaged}
	default:
		return ebsDefaults{on: new(true), key: said}
	}
	return ebsDefaults{
		unknownOn:  "whether account " + h.account + " encrypts EBS volumes by default in " + h.region + " is not in " + m.words.File,
		unknownKey: "the default key for EBS of account " + h.account + " in " + h.region + " is not in " + m.words.File,
	}
}

func (m *model) readDefaults() {
	m.defaults = map[region]ebsDefaults{}
	change := func(r *resource, set func(*ebsDefaults)) {
		h := m.homeOf(r)
		d := m.defaultsOf(h)
		if strings.HasPrefix(r.addr, "data.") && d.at != "" {
			return // what the plan makes of it counts
		}
		set(&d)
		d.at = r.addr
		m.defaults[region{h.account, h.region}] = d
	}
	for _, r := range m.of("aws_ebs_encryption_by_default", "data.aws_ebs_encryption_by_default") {
		change(r, func(d *ebsDefaults) {
			on := m.flag(r, "enabled")
			if on.v == nil && on.why == "" {
				on.v = new(true)
			}
			d.on, d.unknownOn = on.v, on.why
		})
	}
	for _, r := range m.of("aws_ebs_default_kms_key", "data.aws_ebs_default_kms_key") {
		change(r, func(d *ebsDefaults) {
			t := m.text(r, wantKey, "key_arn")
			d.key, d.unknownKey = t.s, t.why
		})
	}
}
