package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// everybody is the name of the group of all accounts.
const everybody = "all"

// A sharing is a change of who may use a snapshot or an image.
type sharing struct{ add, remove members }

// members are accounts, perhaps everybody, and of an image ARNs of organizations and organizational units.
type members struct {
	accounts      []string
	all           bool
	organizations []string
}

func (m *members) any() bool { return m.all || len(m.accounts)+len(m.organizations) > 0 }

func (m *members) addAccount(id string) error {
	if !arn.IsAccount(id) {
		return apierr.Newf("InvalidUserID.Malformed", "Invalid user id: \"%s\"", id)
	}
	if !slices.Contains(m.accounts, id) {
		m.accounts = append(m.accounts, id)
	}
	return nil
}

func (m *members) addGroup(name string) error {
	if name != everybody {
		return invalidValue("Invalid value '%s' for group. The only group is 'all'.", name)
	}
	m.all = true
	return nil
}

// listed reads the older form of a change: the operation, and whom it is about. Beside the newer form, which is read
// first, ids without an operation say nothing: Packer sends both.
func (x *sharing) listed(operation string, accounts, groups []string, organizations ...string) error {
	var m *members
	switch operation {
	case "":
		if len(accounts)+len(groups)+len(organizations) == 0 || !x.empty() {
			return nil
		}
		return apierr.New("MissingParameter", "The request must contain the parameter OperationType")
	case "add":
		m = &x.add
	case "remove":
		m = &x.remove
	default:
		return invalidValue("Invalid value '%s' for operationType.", operation)
	}
	for _, id := range accounts {
		if err := m.addAccount(id); err != nil {
			return err
		}
	}
	for _, name := range groups {
		if err := m.addGroup(name); err != nil {
			return err
		}
	}
	for _, a := range organizations {
		if err := m.addOrganization(a); err != nil {
			return err
		}
	}
	return nil
}

func (x *sharing) empty() bool { return !x.add.any() && !x.remove.any() }

// apply changes who is in.
func (x *sharing) apply(public *bool, with *[]string) {
	*with = changed(*with, x.add.accounts, x.remove.accounts)
	*public = (*public || x.add.all) && !x.remove.all
}

// describe puts the change into the context of its decision. The condition keys have one value: of
// several accounts it is a list, which a policy with StringEquals does not match.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2".
func (x *sharing) describe(p *authz.Part) {
	set := func(key string, values []string) {
		switch len(values) {
		case 0:
		case 1:
			p.Context.Set(key, values[0])
		default:
			p.Context.Set(key, strings.Join(values, ","))
		}
	}
	set("ec2:add/userid", x.add.accounts)
	set("ec2:remove/userid", x.remove.accounts)
	if x.add.all {
		p.Context.Set("ec2:add/group", everybody)
	}
	if x.remove.all {
		p.Context.Set("ec2:remove/group", everybody)
	}
}

// shareable refuses to share encrypted snapshots with everybody, and those under the AWS managed key
// with anybody: nobody else could use them. AWS does not say with which code it refuses.
// Source: Amazon EBS User Guide, "Share an Amazon EBS snapshot".
func (s *Service) shareable(ctx context.Context, x *sharing, snapshots []snapshotRecord) error {
	if !x.add.any() {
		return nil
	}
	for _, r := range snapshots {
		if !r.Encrypted {
			continue
		}
		managed, err := s.keys.ManagedByAWS(ctx, r.KeyARN)
		switch {
		case err != nil:
			return err
		case managed:
			return apierr.New("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
		case x.add.all:
			return apierr.New("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
		}
	}
	return nil
}
