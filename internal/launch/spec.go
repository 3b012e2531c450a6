package launch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// ErrSpec is wrapped by every error of [New] about a description that makes no sense, other than
// a [*ParameterError]. It is a driver's mistake, not a user's.
var ErrSpec = errors.New("launch: invalid spec")

// Operation is what EC2 was asked to do. A launch by Auto Scaling or by a fleet is
// [RunInstances]: only the caller differs, and the driver supplies the caller.
type Operation string

// Operations that need keys.
const (
	RunInstances   Operation = "RunInstances"
	StartInstances Operation = "StartInstances"
	AttachVolume   Operation = "AttachVolume"
	CreateVolume   Operation = "CreateVolume"
	CopySnapshot   Operation = "CopySnapshot"
	CopyImage      Operation = "CopyImage" // one device per mapping of the image
)

// Operations that give keys back. They need no permission of the caller.
const (
	StopInstances      Operation = "StopInstances"
	TerminateInstances Operation = "TerminateInstances"
	DetachVolume       Operation = "DetachVolume"
)

// ReopenVolumes is what a host does that lost its memory: it opens the volumes of a running
// instance again, with the grants that exist. Nobody called, so nothing is asked of a caller.
const ReopenVolumes Operation = "ReopenVolumes"

// traits says which stages an operation has; it is the only place that tells them apart.
type traits struct {
	creates, copies, attaches, opens, runs, releases bool
	granted                                          bool // the attach grants exist
	sources                                          []SourceKind
}

func (o Operation) traits() (traits, bool) {
	fresh, existing := []SourceKind{Empty, Snapshot}, []SourceKind{Existing}
	switch o {
	case RunInstances:
		return traits{creates: true, attaches: true, opens: true, runs: true, sources: fresh}, true
	case StartInstances: // the attachment outlives the stop; only its grant is new
		return traits{opens: true, runs: true, sources: existing}, true
	case AttachVolume:
		return traits{attaches: true, opens: true, sources: existing}, true
	case CreateVolume:
		return traits{creates: true, sources: fresh}, true
	case CopySnapshot, CopyImage:
		return traits{creates: true, copies: true, sources: []SourceKind{Snapshot}}, true
	case ReopenVolumes:
		return traits{opens: true, granted: true, sources: existing}, true
	case StopInstances, TerminateInstances, DetachVolume:
		return traits{releases: true, sources: existing}, true
	}
	return traits{}, false
}

// A Spec describes one operation on one instance, or one volume or copy. It is not changed by
// the machine. The caller is not part of it: only its account matters, which is Account.
type Spec struct {
	Operation Operation
	Region    string // where the operation runs: for copies the destination
	Account   string // account of the instance, volume or copy, and of whoever called; 12 digits
	// InstanceID is needed by all operations but CreateVolume, CopySnapshot and CopyImage.
	InstanceID string   `json:",omitempty"`
	Devices    []Device `json:",omitempty"` // may be empty: an instance without volumes
	Defaults   Defaults
	// CopyKeepsKey makes CopySnapshot without a key id keep the key of an own encrypted
	// snapshot, as older AWS guides say. See [ChooseCopyKey].
	CopyKeepsKey bool `json:",omitempty"`
	// CalledVia are the services through which the caller reached EC2, first to last, without
	// EC2 itself: aws:CalledVia of the EC2 request.
	CalledVia []string `json:",omitempty"`
}

// Defaults are the account's settings for EBS encryption in the region of the operation.
type Defaults struct {
	EncryptionByDefault bool
	DefaultKey          string // any key id form; "" means [AWSManagedAlias]
}

func (d Defaults) key() string {
	if d.DefaultKey == "" {
		return AWSManagedAlias
	}
	return d.DefaultKey
}

// AWSManagedAlias names the AWS managed key for EBS of an account and region.
const AWSManagedAlias = "alias/aws/ebs"

// A Device is one volume of the operation, or one snapshot to be made by a copy.
type Device struct {
	Name string // as in the block device mapping; unique in a Spec, "" only if it is the only device
	// VolumeID is the id of the volume, chosen by the driver beforehand; for copies the id of
	// the new snapshot. It is the value of aws:ebs:id in the encryption context.
	VolumeID  string
	Encrypted *bool  `json:",omitempty"` // as given; nil if absent
	KmsKeyID  string `json:",omitempty"` // as given, any form
	Source    Source
	SizeGiB   int64 `json:",omitempty"`
	// Grant is the attach grant, for operations that give keys back and for [ReopenVolumes]; zero
	// if there is none.
	Grant GrantRef `json:",omitzero"`
	// DeleteOnTermination makes TerminateInstances delete the volume.
	DeleteOnTermination bool `json:",omitempty"`
}

// SourceKind says where the content of a volume comes from.
type SourceKind string

// Kinds of source. The zero SourceKind is invalid.
const (
	Empty    SourceKind = "empty"
	Snapshot SourceKind = "snapshot"
	Existing SourceKind = "existing" // the volume is there already
)

// A Source is what a volume is made from, or, of kind [Existing], what it is. The fields after
// SnapshotID describe that snapshot or volume; those after Encrypted are only for encrypted ones.
type Source struct {
	Kind       SourceKind
	SnapshotID string `json:",omitempty"`
	Owned      bool   `json:",omitempty"` // the snapshot belongs to Spec.Account
	Encrypted  bool   `json:",omitempty"`
	KeyARN     string `json:",omitempty"`
	// ContextID is the id in aws:ebs:id under which the data key is wrapped: of a volume for
	// snapshots made by CreateSnapshot, of the snapshot itself for copies. For Existing it
	// is the volume's id and may be left empty.
	ContextID string `json:",omitempty"`
	DataKeyID string `json:",omitempty"` // lineage of the data key (DataEncryptionKeyId)
	// WrappedKey is the ciphertext of the data key. Drivers that only decide leave it nil.
	WrappedKey []byte `json:",omitempty"`
}

// A GrantRef names a grant that was made. The token makes a fresh grant usable at once; it gives
// nothing to anyone but the grantee.
type GrantRef struct {
	ID    string
	Token string `json:",omitempty"`
}

// Only returns the Spec with the named device alone. The doctor drives one machine per device,
// so that the failure of one does not hide that of another. A name that is not there gives a
// Spec without devices.
func (s Spec) Only(device string) Spec {
	i := slices.IndexFunc(s.Devices, func(d Device) bool { return d.Name == device })
	if i < 0 {
		s.Devices = nil
	} else {
		s.Devices = s.Devices[i : i+1 : i+1]
	}
	return s
}

// clone copies what a driver could change later.
func (s Spec) clone() Spec {
	s.CalledVia = slices.Clone(s.CalledVia)
	s.Devices = slices.Clone(s.Devices)
	for i := range s.Devices {
		d := &s.Devices[i]
		d.Source.WrappedKey = slices.Clone(d.Source.WrappedKey)
		if d.Encrypted != nil {
			d.Encrypted = new(*d.Encrypted)
		}
	}
	return s
}

func specError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSpec, fmt.Sprintf(format, args...))
}

// check reports the first thing about the Spec that the machine could not work with.
func (s Spec) check() error {
	t, ok := s.Operation.traits()
	switch {
	case !ok:
		return specError("operation %q", s.Operation)
	case s.Region == "":
		return specError("no region")
	case !arn.IsAccount(s.Account):
		return specError("account %q", s.Account)
	case s.InstanceID == "" && !t.creates, s.InstanceID == "" && t.opens:
		return specError("%s without an instance", s.Operation)
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for _, d := range s.Devices {
		switch {
		case d.Name == "" && len(s.Devices) > 1, names[d.Name]:
			return specError("device name %q is empty or used twice", d.Name)
		case d.VolumeID == "", ids[d.VolumeID]:
			return specError("device %q: id %q is empty or used twice", d.Name, d.VolumeID)
		case !slices.Contains(t.sources, d.Source.Kind):
			return specError("device %q: %s from source kind %q", d.Name, s.Operation, d.Source.Kind)
		}
		names[d.Name], ids[d.VolumeID] = true, true
		if err := d.Source.check(); err != nil {
			return specError("device %q: %v", d.Name, err)
		}
		if d.Source.Kind == Existing && d.KmsKeyID != "" {
			return specError("device %q: a key cannot be chosen for an existing volume", d.Name)
		}
	}
	return nil
}

func (s Source) check() error {
	switch {
	case s.Kind == Empty && s.Encrypted:
		return errors.New("an empty source cannot be encrypted")
	case s.Kind == Snapshot && s.SnapshotID == "":
		return errors.New("no snapshot id")
	case !s.Encrypted:
		return nil
	case !isKeyARN(s.KeyARN):
		return fmt.Errorf("%q is not a key ARN", s.KeyARN)
	case s.Kind == Snapshot && s.ContextID == "":
		return errors.New("no context id")
	}
	return nil
}

func isKeyARN(s string) bool {
	a, err := arn.Parse(s)
	return err == nil && a.Service == "kms" && a.Region != "" && a.Account != "" &&
		strings.HasPrefix(a.Resource, "key/") && a.ID() != ""
}
