package ec2

import (
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/store"
)

// again reports whether a fleet may launch: to replace what ends, or what it lacks still.
func (f *fleetRecord) again() bool {
	return f.live() && (f.Type == fleetMaintain || f.Type == fleetRequest && !f.Done)
}

// usesOfFleets are the choices of fleets that launch by themselves, each as the service-linked role.
func (s *Service) usesOfFleets(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	for r, err := range fleetTable.Scan(tx, region, account) {
		if err != nil {
			return false, err
		}
		f := &r.Value
		if !f.again() {
			continue
		}
		by := f.service()
		for n := range f.Pools {
			p := &f.Pools[n]
			use := KeyUse{Kind: KeyUseFleet, ID: f.ID, Name: p.Type, Role: by.arn(account), Session: by.session}
			if more, err := s.useOfLaunch(tx, region, account, p.Launch, use, yield); err != nil || !more {
				return false, err
			}
		}
	}
	return true, nil
}

// again reports whether a request may launch an instance: it waits for one, or asks again when it ends.
func (r *spotRecord) again() bool {
	if r.Launch == nil {
		return false
	}
	return r.State == spotOpen || r.Type == ec2api.SpotInstanceTypePersistent && (r.State == spotActive || r.State == spotDisabled)
}

// usesOfSpotRequests are the requests that launch an instance by themselves, as the role of EC2 Spot.
func (s *Service) usesOfSpotRequests(tx store.Tx, region, account string, yield func(KeyUse) bool) (bool, error) {
	for rec, err := range spotTable.Scan(tx, region, account) {
		if err != nil {
			return false, err
		}
		r := &rec.Value
		if r.expire(s.g.Now()); !r.again() {
			continue
		}
		use := KeyUse{Kind: KeyUseSpot, ID: r.ID, Role: spotService.arn(account), Session: spotService.session}
		if more, err := s.useOfLaunch(tx, region, account, *r.Launch, use, yield); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// useOfLaunch yields a use with the plan of a stored launch, if that gets as far as its keys.
func (s *Service) useOfLaunch(tx store.Tx, region, account string, l storedLaunch, use KeyUse, yield func(KeyUse) bool) (bool, error) {
	in, err := l.request()
	if err != nil {
		return false, err
	}
	var ok bool
	if use.Spec, ok, err = s.LaunchSpec(tx, region, account, in); err != nil || !ok {
		return err == nil, err
	}
	return yield(use), nil
}
