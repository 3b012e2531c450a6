package ec2

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/store"
)

// What the resource of an ARN of Organizations begins with: an organization, or one of its units.
const (
	organizationResource = "organization/o-"
	unitResource         = "ou/o-"
	unitARN              = ":" + unitResource
)

// addOrganization adds an organization or an organizational unit by its ARN. Whether there is one is not asked, as
// of accounts. Source: Organizations User Guide, "ARN formats supported by Organizations".
func (m *members) addOrganization(name string) error {
	a, err := arn.Parse(name)
	switch {
	case err != nil || a.Service != "organizations" || !arn.IsAccount(a.Account):
	case strings.HasPrefix(a.Resource, organizationResource), strings.HasPrefix(a.Resource, unitResource) && strings.Contains(a.Resource, "/ou-"):
		m.organizations = append(m.organizations, name)
		return nil
	}
	return invalidValue("Invalid value '%s' for the ARN of an organization or organizational unit.", name)
}

// changed is a sorted list with some added and some removed.
func changed(list, add, remove []string) []string {
	all := append(slices.Clone(list), add...)
	all = slices.DeleteFunc(all, func(v string) bool { return slices.Contains(remove, v) })
	slices.Sort(all)
	return slices.Compact(all)
}

// inside reports whether an account is in one of the organizations, or below one of the organizational units.
// Source: EC2 User Guide, "Share an AMI with organizations and organizational units".
func (s *Service) inside(tx store.Tx, organizations []string, account string) (bool, error) {
	if len(organizations) == 0 {
		return false, nil
	}
	place, err := s.dir.Place(tx, account)
	if err != nil || place.Organization == "" {
		return false, err
	}
	return slices.ContainsFunc(organizations, func(name string) bool {
		a, err := arn.Parse(name)
		if err != nil {
			return false
		}
		part := strings.Split(a.Resource, "/") // organization/o-..., or ou/o-.../ou-...
		if len(part) < 2 || part[1] != place.Organization {
			return false
		}
		return len(part) == 2 || slices.ContainsFunc(place.Paths, func(p string) bool { return strings.Contains(p, "/"+part[2]+"/") })
	}), nil
}
