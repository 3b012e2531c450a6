package ec2

import (
	"errors"
	"iter"
	"strconv"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// Kinds of what needs keys.
const (
	KeyUseVolume   = "volume"
	KeyUseInstance = "instance"
	KeyUseTemplate = "launch-template"
	KeyUseImage    = "image"
	KeyUseSnapshot = "snapshot"
	KeyUseFleet    = "fleet" // EC2 Fleet, or Spot Fleet request
	KeyUseSpot     = "spot-instances-request"
)

// A KeyUse is something of an account that needs keys, as the plan that would be driven when it is
// used the next time.
type KeyUse struct {
	Kind, ID, Name string
	PartOf         string // the instance of a volume, the group of an instance
	Role, Session  string // of a service that launches by itself; "" is whoever uses it
	Spec           launch.Spec
}

// Names of volumes and instances that are not there yet.
const (
	nextInstance = "i-00000000000000000"
	nextVolume   = "vol-00000000000000000"
)

// KeyUses yields what needs keys in an account and Region: running instances, whose volumes a host
// that was restarted opens again (each alone); all instances, to be started after a stop; volumes that
// are not attached; snapshots, to make a volume of; images and launch templates; fleets and Spot
// Instance requests that launch again. What is not encrypted and can never be is left out.
func (s *Service) KeyUses(tx store.Tx, region, account string) iter.Seq2[KeyUse, error] {
	return func(yield func(KeyUse, error) bool) {
		for _, part := range []func(store.Tx, string, string, func(KeyUse) bool) (bool, error){
			s.usesOfInstances, s.usesOfVolumes, s.usesOfSnapshots, s.usesOfImages, s.usesOfTemplates, s.usesOfFleets, s.usesOfSpotRequests,
		} {
			more, err := part(tx, region, account, func(u KeyUse) bool { return yield(u, nil) })
			if err != nil {
				yield(KeyUse{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

func encrypted(spec *launch.Spec) bool {
	for _, d := range spec.Devices {
		if d.Source.Encrypted {
			return true
		}
	}
	return false
}

func (s *Service) usesOfInstances(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	volumes, err := readAllVolumes(tx, region, account)
	if err != nil {
		return false, err
	}
	tags, err := tagsOfAll(tx, region, account)
	if err != nil {
		return false, err
	}
	for r, err := range instanceTable.Scan(tx, region, account) {
		if err != nil {
			return false, err
		}
		i := &r.Value
		if i.State == terminated || i.State == shuttingDown {
			continue
		}
		spec, err := i.spec(launch.StartInstances, volumes)
		if err != nil {
			return false, err
		}
		if !encrypted(&spec) {
			continue
		}
		if !yield(KeyUse{Kind: KeyUseInstance, ID: i.ID, PartOf: tags[i.ID]["aws:autoscaling:groupName"], Spec: spec}) {
			return false, nil
		}
		if i.State != running {
			continue
		}
		spec.Operation = launch.ReopenVolumes
		for _, d := range spec.Devices {
			if d.Source.Encrypted && !yield(KeyUse{Kind: KeyUseVolume, ID: d.VolumeID, PartOf: i.ID, Spec: spec.Only(d.Name)}) {
				return false, nil
			}
		}
	}
	return true, nil
}

func (s *Service) usesOfVolumes(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	for r, err := range volumeTable.Scan(tx, region, account) {
		if err != nil {
			return false, err
		}
		v := &r.Value
		if !v.Encrypted || len(v.Plugs) > 0 || v.State != volumeAvailable {
			continue
		}
		u := KeyUse{Kind: KeyUseVolume, ID: v.ID, Spec: launch.Spec{
			Operation: launch.AttachVolume, Region: region, Account: account, InstanceID: nextInstance,
			Devices: []launch.Device{{VolumeID: v.ID, Source: v.source(), SizeGiB: v.SizeGiB}},
		}}
		if !yield(u) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Service) usesOfSnapshots(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	defaults, err := s.encryptionDefaults(tx, region, account)
	if err != nil {
		return false, err
	}
	all, err := snapshotTable.list(tx, region, account, func(r *snapshotRecord) bool { return r.ours(account) })
	if err != nil {
		return false, err
	}
	for i := range all {
		r := &all[i]
		if !r.Encrypted || !r.ours(account) && !r.usable(account) || s.ready(r) != nil {
			continue
		}
		u := KeyUse{Kind: KeyUseSnapshot, ID: r.ID, Spec: launch.Spec{
			Operation: launch.CreateVolume, Region: region, Account: account, Defaults: defaults,
			Devices: []launch.Device{{VolumeID: nextVolume, Source: sourceOf(r, account), SizeGiB: r.SizeGiB}},
		}}
		if !yield(u) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Service) usesOfImages(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	for r, err := range imageTable.own.Scan(tx, region, account) {
		if err != nil {
			return false, err
		}
		id := r.Value.ID
		typ := "m5.large"
		if r.Value.Architecture == "arm64" {
			typ = "m6g.large"
		}
		spec, ok, err := s.LaunchSpec(tx, region, account, &ec2api.RunInstancesRequest{ImageId: &id, InstanceType: &typ})
		if err != nil {
			return false, err
		}
		if ok && !yield(KeyUse{Kind: KeyUseImage, ID: id, Name: r.Value.Name, Spec: spec}) {
			return false, nil
		}
	}
	return true, nil
}

// usesOfTemplates are of each template the default version and the latest, if that is another.
func (s *Service) usesOfTemplates(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	for r, err := range template.All(tx, region, account) {
		if err != nil {
			return false, err
		}
		t := &r.Value
		versions := []int64{t.Default}
		if t.Latest != t.Default {
			versions = append(versions, t.Latest)
		}
		for _, n := range versions {
			version := strconv.FormatInt(n, 10)
			spec, ok, err := s.LaunchSpec(tx, region, account, &ec2api.RunInstancesRequest{
				LaunchTemplate: &ec2api.LaunchTemplateSpecification{LaunchTemplateId: &t.ID, Version: &version},
			})
			if err != nil {
				return false, err
			}
			if ok && !yield(KeyUse{Kind: KeyUseTemplate, ID: t.ID, Name: t.Name + " version " + version, Spec: spec}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// LaunchSpec is the plan of a launch, worked out as RunInstances does; ok is false if EC2 refuses the
// request before any key matters.
func (s *Service) LaunchSpec(tx store.Tx, region, account string, in *ec2api.RunInstancesRequest) (spec launch.Spec, ok bool, err error) {
	one := *in
	one.MinCount, one.MaxCount, one.InstanceMarketOptions, one.TagSpecifications = new(int32(1)), new(int32(1)), nil, nil
	if api.Val(one.SubnetId) == "" {
		one.SubnetId = nil
	}
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: "ec2", Operation: "RunInstances", Region: region, ReadOnly: true, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.Identity{Principal: authz.Principal{Account: account}}},
	}
	pl, err := s.plan(tx, c, &one)
	if _, refused := errors.AsType[*apierr.Error](err); refused {
		return spec, false, nil
	}
	if err != nil {
		return spec, false, err
	}
	spec = launch.Spec{Operation: launch.RunInstances, Region: region, Account: account, InstanceID: nextInstance, Defaults: pl.defaults}
	for i := range pl.devices {
		spec.Devices = append(spec.Devices, pl.devices[i].device(nextVolume[:len(nextVolume)-3]+threeDigits(i+1), account))
	}
	return spec, true, nil
}

func threeDigits(n int) string {
	s := strconv.Itoa(n)
	return "000"[len(s):] + s
}
